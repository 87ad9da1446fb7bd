"""Decides which events of the log a stream carries: what was asked for, within what the caller may see.

Pure; it is built when a stream opens, and again when what its caller may see has changed.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, FulfillmentFilter
from payments_service.errors import CallerNotAllowedError, FieldViolation, InvalidRequestError
from payments_service.event_log.event_page import EventPage, Kind
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.scope import Scope

Matches = Callable[[FramedEvent], bool]
UNCLAIMED = int(FulfillmentEvent.TYPE_UNCLAIMED)


@dataclass(frozen=True, slots=True)
class StreamFilter:
    """Looks at one event, or at a page of them; None is everything."""

    types: frozenset[int] | None
    organizations: frozenset[str] | None
    purchase_types: frozenset[str] | None
    orders: frozenset[str] | None
    any_purchase: bool

    def __call__(self, event: FramedEvent) -> bool:
        """Say whether the stream carries an event."""
        return self._takes((event.type, event.organization_id, event.purchase_type)) and (
            self.orders is None or event.ordering_key in self.orders
        )

    def runs(self, page: EventPage, within: range) -> list[range]:
        """Give the indexes of a page's events that the stream carries, as runs without gaps."""
        kinds, orders = page.different_kinds, self.orders
        taken = {kind for kind in kinds if self._takes(kind)}
        if orders is None and len(taken) == len(kinds):
            return [within]
        runs: list[range] = []
        for index in within if taken else ():
            if page.kinds[index] not in taken or (orders is not None and page.ordering_keys[index] not in orders):
                continue
            if runs and runs[-1].stop == index:
                runs[-1] = range(runs[-1].start, index + 1)
            else:
                runs.append(range(index, index + 1))
        return runs

    def _takes(self, kind: Kind) -> bool:
        event_type, organization, purchase_type = kind
        unclaimed = event_type == UNCLAIMED
        return (
            (not unclaimed if self.types is None else event_type in self.types)
            and (self.organizations is None or organization in self.organizations)
            and (
                self.purchase_types is None or purchase_type in self.purchase_types or (unclaimed and self.any_purchase)
            )
        )


def stream_filter(requested: FulfillmentFilter, scope: Scope) -> StreamFilter:
    """Make the filter; raises InvalidRequestError, and CallerNotAllowedError for more than the scope holds.

    An UNCLAIMED event belongs to no organization and is no purchase: seeing it takes all organizations, and the
    scope's purchase types say nothing about it.
    """
    violations = list(filter_violations(requested))
    if violations:
        raise InvalidRequestError(violations)
    _refuse_foreign(requested, scope)
    return StreamFilter(
        types=frozenset(requested.types) or None,
        organizations=_within(requested.organization_ids, scope.organizations),
        purchase_types=_within(requested.purchase_types, scope.purchase_types),
        orders=frozenset(requested.order_ids) or None,
        any_purchase=not requested.purchase_types,
    )


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
