"""Whatever order Stripe tells a purchase's life in, however often, and wherever it is cut off and told again: one end.

The model makes a random life of one order, as Stripe's objects in the order of their happening; the facts of the
ordered delivery are the measure. `PAYMENTS_TEST_EXAMPLES` asks for more lives than `make test` does.
"""

import os
import random
from functools import reduce
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from payments_service.orders.facts_join import happened, join
from payments_service.orders.observation import SUBSCRIPTION_TYPES, Observation, observations_of
from payments_service.orders.order_facts import (
    OrderFacts,
    facts_from_json,
    facts_to_json,
    order_payment_state,
    order_subscription_state,
)
from payments_service.orders.refund_facts import later_state, observe_refund
from payments_service.orders.states import PaymentState, RefundState, SubscriptionState

EXAMPLES = int(os.environ.get("PAYMENTS_TEST_EXAMPLES", "300"))
MONTH = 2_592_000
Told = tuple[str, dict[str, Any]]


def session(payment_status: str) -> dict[str, Any]:
    named = {"subscription": "sub_1", "invoice": "in_0", "amount_total": 4900, "currency": "usd"}
    return {"id": "cs_1", "status": "complete", "payment_status": payment_status, **named}


def invoice(number: int, status: str) -> dict[str, Any]:
    period = {"start": number * MONTH, "end": (number + 1) * MONTH}
    return {
        "id": f"in_{number}",
        "status": status,
        "billing_reason": "subscription_cycle" if number else "subscription_create",
        "subscription": "sub_1",
        "payment_intent": f"pi_{number}",
        "amount_paid": 4900 if status == "paid" else 0,
        "currency": "usd",
        "created": 1_790_000_000,
        "lines": {"data": [{"period": period}]},
    }


def dispute(number: int, status: str) -> dict[str, Any]:
    return {"id": f"dp_{number}", "status": status, "amount": 4900, "payment_intent": f"pi_{number}"}


@st.composite
def lives(draw: st.DrawFn) -> list[Told]:
    """Make the life of a subscription: paid at once or later, renewed, failing and recovering, disputed, ended."""
    delayed = draw(st.booleans())
    life: list[Told] = [("checkout.session.completed", session("unpaid" if delayed else "paid"))]
    if delayed:
        life.append(("checkout.session.async_payment_succeeded", session("paid")))
    for number in range(draw(st.integers(1, 4))):
        if number and draw(st.booleans()):
            life.append(("invoice.payment_failed", invoice(number, "open")))
        if not number or draw(st.booleans()):
            life.append(("invoice.paid", invoice(number, "paid")))
        if draw(st.booleans()):
            life.append(("charge.dispute.created", dispute(number, "needs_response")))
            closed = draw(st.sampled_from(["won", "lost", ""]))
            life += [("charge.dispute.closed", dispute(number, closed))] if closed else []
    if draw(st.booleans()):
        ended = {"id": "sub_1", "status": "canceled", "ended_at": draw(st.integers(1, 4 * MONTH))}
        life.append(("customer.subscription.deleted", ended))
    return life


def observed(told: list[Told]) -> list[Observation]:
    return [seen for event_type, stripe_object in told for seen in observations_of(event_type, stripe_object)]


def end_of(told: list[Told]) -> OrderFacts:
    return reduce(join, observed(told), OrderFacts())


@settings(max_examples=EXAMPLES, deadline=None)
@given(life=lives(), chance=st.randoms(use_true_random=False))
def test_shuffled_doubled_and_cut_off_deliveries_end_as_the_ordered_one(
    life: list[Told], chance: random.Random
) -> None:
    doubled = life + chance.choices(life, k=len(life))
    chance.shuffle(doubled)
    cut = chance.randrange(len(doubled) + 1)
    in_order = end_of(life)

    # What came before the cut, as its row holds it, then all of it again, as the reconciler brings it.
    before = facts_from_json(facts_to_json(end_of(doubled[:cut])))
    reconciled = reduce(join, observed(chance.sample(life, k=len(life))), before)

    assert facts_to_json(reconciled) == facts_to_json(in_order)
    assert order_payment_state(reconciled, 4900, 0) == order_payment_state(in_order, 4900, 0)
    assert order_subscription_state(reconciled) == order_subscription_state(in_order)


@settings(max_examples=EXAMPLES, deadline=None)
@given(life=lives(), chance=st.randoms(use_true_random=False))
def test_each_happening_is_told_once_in_whatever_order(life: list[Told], chance: random.Random) -> None:
    doubled = life + life
    chance.shuffle(doubled)
    facts, told = OrderFacts(), []
    for seen in observed(doubled):
        grown = join(facts, seen)
        told += [(happening.type, happening.source_id) for happening in happened(facts, grown, "in_0")]
        facts = grown

    once = [pair for pair in told if pair[1] or told.count(pair) > 1]
    assert len(set(once)) == len(once)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.sampled_from(["pending", "requires_action", "succeeded", "failed", "canceled"]), min_size=1))
def test_a_refunds_state_does_not_depend_on_the_order_of_its_news(statuses: list[str]) -> None:
    def state_of(news: list[str]) -> RefundState:
        seen = (observe_refund({"id": "re_1", "status": status}).state for status in news)
        return reduce(later_state, seen, RefundState.REQUESTED)

    assert state_of(statuses) == state_of(statuses[::-1]) == state_of(sorted(statuses) * 2)


@given(lives())
def test_no_path_is_paid_before_money_came_in(life: list[Told]) -> None:
    facts = OrderFacts()
    for event_type, stripe_object in life:
        came_in = facts.paid or stripe_object.get("payment_status") == "paid" or event_type == "invoice.paid"
        facts = reduce(join, observations_of(event_type, stripe_object), facts)
        assert facts.paid == came_in
        assert (order_payment_state(facts, 4900, 0) == PaymentState.AWAITING_FUNDS) <= (not came_in)


def test_a_subscription_that_has_ended_stays_ended() -> None:
    ended = ("customer.subscription.deleted", {"id": "sub_1", "status": "canceled", "ended_at": 7})
    paid = ("invoice.paid", invoice(0, "paid"))

    assert {order_subscription_state(end_of(told)) for told in ([ended, paid], [paid, ended])} == {
        SubscriptionState.CANCELED
    }
    assert ended[0] in SUBSCRIPTION_TYPES
