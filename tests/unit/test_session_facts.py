"""The facts of a session give the same state whatever the order in which Stripe tells them."""

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_service.contract.pb.payments.v1 import order_pb2
from payments_service.orders.session_facts import SessionFacts, merge, observe_session, payment_state
from payments_service.orders.states import FulfillmentState, PaymentState

Told = tuple[str, dict[str, Any]]


def told(event_type: str, status: str, payment_status: str) -> Told:
    intent = "pi_1" if status == "complete" else None
    session = {"status": status, "payment_status": payment_status, "payment_intent": intent, "amount_total": 4900}
    return f"checkout.session.{event_type}", session


OPEN = told("retrieved", "open", "unpaid")
COMPLETED_PAID = told("completed", "complete", "paid")
COMPLETED_FREE = told("completed", "complete", "no_payment_required")
COMPLETED_UNPAID = told("completed", "complete", "unpaid")
SUCCEEDED = told("async_payment_succeeded", "complete", "paid")
FAILED = told("async_payment_failed", "complete", "unpaid")
EXPIRED = told("expired", "expired", "unpaid")
EVERY = [OPEN, COMPLETED_PAID, COMPLETED_FREE, COMPLETED_UNPAID, SUCCEEDED, FAILED, EXPIRED]


def known_after(*events: Told) -> SessionFacts:
    return reduce(merge, (observe_session(session, event_type) for event_type, session in events), SessionFacts())


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], PaymentState.OPEN),
        ([OPEN], PaymentState.OPEN),
        ([COMPLETED_PAID], PaymentState.PAID),
        ([COMPLETED_FREE], PaymentState.PAID),
        ([COMPLETED_UNPAID], PaymentState.AWAITING_FUNDS),
        ([COMPLETED_UNPAID, SUCCEEDED], PaymentState.PAID),
        ([COMPLETED_UNPAID, FAILED], PaymentState.FAILED),
        ([EXPIRED], PaymentState.EXPIRED),
    ],
)
def test_a_checkout_leads_to_its_state(events: list[Told], state: PaymentState) -> None:
    assert payment_state(known_after(*events)) is state


@given(st.lists(st.sampled_from(EVERY)), st.randoms(use_true_random=False))
def test_order_and_repetition_of_events_change_nothing(events: list[Told], random: Any) -> None:  # noqa: ANN401
    shuffled = events + random.choices(events, k=3) if events else []
    random.shuffle(shuffled)

    assert known_after(*shuffled) == known_after(*events)


@given(st.lists(st.sampled_from([OPEN, COMPLETED_UNPAID, FAILED, EXPIRED])))
def test_no_order_of_unpaid_events_is_ever_paid(events: list[Told]) -> None:
    assert payment_state(known_after(*events)) is not PaymentState.PAID


def test_an_expanded_object_counts_by_its_id() -> None:
    assert observe_session({"payment_intent": {"id": "pi_1"}}).payment_intent_id == "pi_1"


@pytest.mark.parametrize(
    ("ours", "contracts", "prefix"),
    [
        (PaymentState, order_pb2.PaymentState, "PAYMENT_STATE_"),
        (FulfillmentState, order_pb2.FulfillmentState, "FULFILLMENT_STATE_"),
    ],
)
def test_the_states_are_the_contracts(ours: Any, contracts: Any, prefix: str) -> None:  # noqa: ANN401
    assert {f"{prefix}{state.name}": state.value for state in ours} == dict(contracts.items())
