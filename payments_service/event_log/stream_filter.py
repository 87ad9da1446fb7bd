"""Decides which events of the log a stream carries: what was asked for, within what the caller may see.

Pure; it is built when a stream opens, and again when what its caller may see has changed.
"""

from collections.abc import Callable, Iterable, Iterator

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, FulfillmentFilter
from payments_service.errors import CallerNotAllowedError, FieldViolation, InvalidRequestError
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.scope import Scope

Matches = Callable[[FramedEvent], bool]
UNCLAIMED = int(FulfillmentEvent.TYPE_UNCLAIMED)


def stream_filter(requested: FulfillmentFilter, scope: Scope) -> Matches:
    """Make the predicate; raises InvalidRequestError, and CallerNotAllowedError for more than the scope holds.

    An UNCLAIMED event belongs to no organization and is no purchase: seeing it takes all organizations, and the
    scope's purchase types say nothing about it.
    """
    violations = list(filter_violations(requested))
    if violations:
        raise InvalidRequestError(violations)
    _refuse_foreign(requested, scope)
    types = frozenset(requested.types) or None
    organizations = _within(requested.organization_ids, scope.organizations)
    purchase_types = _within(requested.purchase_types, scope.purchase_types)
    orders = frozenset(requested.order_ids) or None
    any_purchase = not requested.purchase_types

    def matches(event: FramedEvent) -> bool:
        unclaimed = event.type == UNCLAIMED
        return (
            (not unclaimed if types is None else event.type in types)
            and (organizations is None or event.organization_id in organizations)
            and (purchase_types is None or event.purchase_type in purchase_types or (unclaimed and any_purchase))
            and (orders is None or event.ordering_key in orders)
        )

    return matches


def filter_violations(requested: FulfillmentFilter) -> Iterator[FieldViolation]:
    """Name what is wrong in a filter whoever sends it."""
    known = FulfillmentEvent.Type.values()
    for number, event_type in enumerate(requested.types):
        if event_type not in known or event_type == FulfillmentEvent.TYPE_UNSPECIFIED:
            yield FieldViolation(f"filter.types[{number}]", f"{event_type} is no event type of this version")
    for name in ("organization_ids", "purchase_types", "order_ids"):
        for number, value in enumerate(getattr(requested, name)):
            if not value:
                yield FieldViolation(f"filter.{name}[{number}]", "is empty: leave it out, or name one")


def _refuse_foreign(requested: FulfillmentFilter, scope: Scope) -> None:
    missing = [
        *(f"organization {name}" for name in requested.organization_ids if not scope.holds_organization(name)),
        *(f"purchase type {name}" for name in requested.purchase_types if not scope.holds_type(name)),
    ]
    if UNCLAIMED in requested.types and scope.organizations is not None:
        missing.append("all organizations, which TYPE_UNCLAIMED needs")
    if missing:
        raise CallerNotAllowedError(
            f"The filter asks for what this caller may not see: {', '.join(missing)}.", missing=", ".join(missing)
        )


def _within(requested: Iterable[str], allowed: frozenset[str] | None) -> frozenset[str] | None:
    """Take what was asked for, which lies within what is allowed, or all of that; None is everything."""
    return frozenset(requested) or allowed
