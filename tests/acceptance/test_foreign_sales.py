"""What was sold without us: with our metadata it becomes an order, without it it stays another's."""

import pytest

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent as Event
from payments_service.contract.pb.payments.v1.operations_pb2 import ListStripeEventsRequest, ReplayStripeEventsRequest
from payments_service.contract.pb.payments.v1.stripe_event_pb2 import StripeEvent

from .sales import AS_US, ON_SQLITE, verdicts
from .shop import Shop

_ADOPTED_BY = {
    "sessions": ("checkout/sessions", "checkout.session.completed"),
    "invoices": ("invoices", "invoice.payment_succeeded"),
}


@ON_SQLITE
async def test_what_others_sell_with_our_metadata_is_adopted_and_nothing_else(shop: Shop) -> None:
    course = {"type": "course", "organization_id": "org_1", "user_id": "u_1", "purchase.course_id": "sql"}
    service = {"type": "service", "organizationId": "org_1", "userId": "u_2", "customId": "coaching"}
    async with shop.subscribed() as told:
        link = await shop.sandbox("POST", "sessions", {"metadata": course})
        await shop.sandbox("POST", f"sessions/{link['id']}/pay")
        sent = await shop.sandbox("POST", "invoices", {"metadata": service, "amount": 50_000})
        await shop.sandbox("POST", f"invoices/{sent['id']}/pay")
        member = await shop.sandbox(
            "POST", "sessions", {"mode": "subscription", "metadata": course, "subscription_metadata": course}
        )
        await shop.sandbox("POST", f"sessions/{member['id']}/pay")
        other = await shop.sandbox("POST", "sessions", {"metadata": {"type": "credits", "userId": "u_1"}})
        await shop.sandbox("POST", f"sessions/{other['id']}/pay")
        by_user = await told.until(
            lambda events: (
                {"u_1", "u_2"} <= {one.order.user_id for one in events if one.fulfillment.fulfillment_id}
                and sum(one.type == Event.TYPE_FULFILLED for one in events) == 2
            )
        )
        sessions = await verdicts(shop, "checkout.session.completed", 3)

    adopted = {one.order_id: one.order for one in by_user}
    assert {order.created_by for order in adopted.values()} == {"stripe"}
    assert sorted(order.user_id for order in adopted.values()) == ["u_1", "u_1", "u_2"]
    assert sessions.count(StripeEvent.STATE_UNCLAIMED) == 1


@pytest.mark.parametrize("kind", ["sessions", "invoices"])
@ON_SQLITE
async def test_what_is_broken_is_named_and_applied_once_it_is_mended_at_stripe(shop: Shop, kind: str) -> None:
    broken = {"type": "course", "organization_id": "org_1", "user_id": "u_1"}
    api_path, event_type = _ADOPTED_BY[kind]
    async with shop.subscribed() as told:
        sold_elsewhere = await shop.sandbox("POST", kind, {"metadata": broken})
        await shop.sandbox("POST", f"{kind}/{sold_elsewhere['id']}/pay")
        assert await verdicts(shop, event_type, 1) == [StripeEvent.STATE_FAILED]
        (failed,) = (await shop.operations.ListStripeEvents(ListStripeEventsRequest(type=event_type))).stripe_events
        url = f"{shop.running.sandbox_url}/v1/{api_path}/{sold_elsewhere['id']}"
        async with shop.http.post(url, data={"metadata[purchase.course_id]": "sql"}, headers=AS_US) as reply:
            assert reply.status == 200
        ids = [failed.stripe_event_id]
        shown = await shop.operations.ReplayStripeEvents(ReplayStripeEventsRequest(stripe_event_ids=ids, dry_run=True))
        assert await verdicts(shop, event_type, 1) == [StripeEvent.STATE_FAILED]
        await shop.operations.ReplayStripeEvents(ReplayStripeEventsRequest(stripe_event_ids=ids))
        events = await told.until(lambda all_told: Event.TYPE_FULFILLED in [one.type for one in all_told])

    assert "purchase.course.course_id" in failed.verdict_reason
    assert shown.matched == 1
    assert events[-1].order.purchase.course.course_id == "sql"
