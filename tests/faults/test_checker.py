"""The checker itself is checked: whatever is not as promised, it says so."""

from collections import Counter
from collections.abc import Callable

import pytest

from .checker.judge import FULFILLED, Evidence, is_settled, verdict

TYPES = ("TYPE_CHECKOUT_COMPLETED", "TYPE_PAYMENT_SUCCEEDED", "TYPE_FULFILLED")
NOWHERE = "http://127.0.0.1:9"


def evidence() -> Evidence:
    """Give what two sales leave behind when all is well."""
    told = [(order_id, number, kind) for order_id in ("ord_1", "ord_2") for number, kind in enumerate(TYPES, 1)]
    return Evidence(
        paid_orders=["ord_1", "ord_2"],
        stripe_events=["evt_1", "evt_2"],
        inbox={"evt_1", "evt_2"},
        fulfillments=[{"order_id": order_id, "state": FULFILLED} for order_id in ("ord_1", "ord_2")],
        entitlements=["ord_1", "ord_2"],
        log=[
            {"position": position, "event_id": f"e{position}", "ordering_key": order_id, "order_version": number}
            for position, (order_id, number, _) in enumerate(told, 1)
        ],
        history=[
            {"event_id": f"e{position}", "order_id": order_id, "type": kind}
            for position, (order_id, _, kind) in enumerate(told, 1)
        ],
        unsettled=0,
        sessions_of=Counter({"ord_1": 1, "ord_2": 1}),
    )


async def test_all_being_well_is_said_to_be_well_and_what_comes_twice_is_no_harm() -> None:
    seen = evidence()
    seen.history += seen.history[2:4]

    assert await verdict(seen, NOWHERE) == []
    assert is_settled(seen)


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (lambda seen: seen.fulfillments.pop(), "ord_2 is paid and has 0 fulfillments"),
        (lambda seen: seen.fulfillments.append(seen.fulfillments[0]), "ord_1 is paid and has 2 fulfillments"),
        (lambda seen: seen.entitlements.append("ord_1"), "ord_1 is paid and has 2 entitlements"),
        (lambda seen: seen.paid_orders.remove("ord_2"), "ord_2 is fulfilled and was not paid"),
        (lambda seen: seen.sessions_of.update(["ord_1"]), "ord_1 has 2 sessions"),
        (lambda seen: seen.refunds_of.update(["ord_1"]), "ord_1 is paid back and has 0 REVOKED events"),
        (lambda seen: seen.refunds_of.update(ord_1=2), "ord_1 has 2 refunds"),
        (lambda seen: seen.log.pop(3), "the log has gaps"),
        (lambda seen: seen.log[0].update(order_version=2), "ord_1 is out of order in the log"),
        (lambda seen: seen.history.pop(), "e6 was not delivered"),
        (lambda seen: seen.history.reverse(), "in another order than the log's"),
        (lambda seen: seen.history.append(seen.history[2] | {"event_id": "e9"}), "ord_1 is paid and has 2 FULFILLED"),
    ],
)
async def test_each_broken_promise_is_named(harm: Callable[[Evidence], object], complaint: str) -> None:
    seen = evidence()
    harm(seen)

    assert any(complaint in problem for problem in await verdict(seen, NOWHERE))
