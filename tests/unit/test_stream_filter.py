"""A stream carries what was asked for within what its caller may see, as a naive reading of the contract says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent, FulfillmentFilter
from payments_service.errors import CallerNotAllowedError, InvalidRequestError
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.event_log.stream_filter import stream_filter
from payments_service.scope import EVERYTHING, Scope

ORGANIZATIONS = ["org_1", "org_2", "org_3"]
PURCHASES = ["course", "service", "gift_card"]
ORDERS = ["ord_1", "ord_2"]
PAID, FULFILLED, UNCLAIMED = (
    FulfillmentEvent.TYPE_PAYMENT_SUCCEEDED,
    FulfillmentEvent.TYPE_FULFILLED,
    FulfillmentEvent.TYPE_UNCLAIMED,
)

claimed = st.builds(
    FramedEvent,
    position=st.just(1),
    organization_id=st.sampled_from(ORGANIZATIONS),
    purchase_type=st.sampled_from(PURCHASES),
    type=st.sampled_from([PAID, FULFILLED, 99]),
    ordering_key=st.sampled_from(ORDERS),
    frame=st.just(b""),
)
unclaimed = st.just(FramedEvent(1, "", "", UNCLAIMED, "pi_1", b""))
filters = st.builds(
    FulfillmentFilter,
    organization_ids=st.lists(st.sampled_from(ORGANIZATIONS), max_size=2),
    purchase_types=st.lists(st.sampled_from(PURCHASES), max_size=2),
    types=st.lists(st.sampled_from([PAID, FULFILLED, UNCLAIMED]), max_size=2),
    order_ids=st.lists(st.sampled_from(ORDERS), max_size=1),
)
scopes = st.builds(
    Scope,
    organizations=st.none() | st.frozensets(st.sampled_from(ORGANIZATIONS)),
    purchase_types=st.none() | st.frozensets(st.sampled_from(PURCHASES)),
)


def is_seen(event: FramedEvent, requested: FulfillmentFilter, scope: Scope) -> bool:
    """Decide naively, one sentence of the contract after the other."""
    if event.type == UNCLAIMED:
        if UNCLAIMED not in requested.types or scope.organizations is not None:
            return False
    elif not scope.holds(event.organization_id, event.purchase_type):
        return False
    if requested.types and event.type not in requested.types:
        return False
    if requested.organization_ids and event.organization_id not in requested.organization_ids:
        return False
    if requested.purchase_types and event.purchase_type not in requested.purchase_types:
        return False
    return not requested.order_ids or event.ordering_key in requested.order_ids


def asks_for_too_much(requested: FulfillmentFilter, scope: Scope) -> bool:
    foreign = [name for name in requested.organization_ids if not scope.holds_organization(name)]
    foreign += [name for name in requested.purchase_types if not scope.holds_type(name)]
    return bool(foreign) or (UNCLAIMED in requested.types and scope.organizations is not None)


@given(st.lists(claimed | unclaimed, max_size=8), filters, scopes)
def test_a_filter_lets_through_what_the_contract_says(
    events: list[FramedEvent], requested: FulfillmentFilter, scope: Scope
) -> None:
    if asks_for_too_much(requested, scope):
        with pytest.raises(CallerNotAllowedError):
            stream_filter(requested, scope)
        return

    matches = stream_filter(requested, scope)

    assert [matches(event) for event in events] == [is_seen(event, requested, scope) for event in events]


def test_a_caller_without_organizations_sees_nothing() -> None:
    matches = stream_filter(FulfillmentFilter(), Scope(frozenset(), None))

    assert not matches(FramedEvent(1, "org_1", "course", PAID, "ord_1", b""))


def test_asking_for_another_organization_names_it() -> None:
    scope = Scope(frozenset({"org_1"}), None)

    with pytest.raises(CallerNotAllowedError, match="organization org_2") as raised:
        stream_filter(FulfillmentFilter(organization_ids=["org_1", "org_2"]), scope)

    assert raised.value.metadata == {"missing": "organization org_2"}


def test_unclaimed_events_need_all_organizations() -> None:
    requested = FulfillmentFilter(types=[UNCLAIMED])

    matches = stream_filter(requested, Scope(None, frozenset({"course"})))

    assert matches(FramedEvent(1, "", "", UNCLAIMED, "pi_1", b""))
    with pytest.raises(CallerNotAllowedError, match="TYPE_UNCLAIMED needs"):
        stream_filter(requested, Scope(frozenset({"org_1"}), None))


def test_every_wrong_value_is_named_at_once() -> None:
    requested = FulfillmentFilter(types=[PAID, 0, 99], organization_ids=[""], order_ids=["ord_1", ""])  # type: ignore[list-item]

    with pytest.raises(InvalidRequestError) as raised:
        stream_filter(requested, EVERYTHING)

    fields = ["filter.types[1]", "filter.types[2]", "filter.organization_ids[0]", "filter.order_ids[1]"]
    assert [violation.field for violation in raised.value.violations] == fields
