"""Operators see how the service stands, what became of each event, an order's whole story, and can work on it again."""

import grpc

from payments_service.contract.pb.payments.v1 import operations_pb2 as ops
from payments_service.contract.pb.payments.v1 import payments_pb2 as pb
from payments_service.contract.pb.payments.v1.order_pb2 import FULFILLMENT_STATE_FAILED, FULFILLMENT_STATE_PENDING
from payments_service.contract.pb.payments.v1.stripe_event_pb2 import StripeEvent
from payments_service.orders.states import StripeEventState

from .rpc_service import OPERATOR, SERVICE, SHOP, RpcService, bearer, refusal

AS_OPERATOR = bearer(OPERATOR)


async def test_the_status_counts_what_waits_and_what_has_failed(service: RpcService) -> None:
    await service.stages.store("customer.created", {"id": "cus_1"})
    await service.stages.store("customer.created", {"id": "cus_2"}, state=StripeEventState.FAILED)
    await service.paid_order()
    await service.log()

    status = await service.operations.GetStatus(ops.GetStatusRequest(), metadata=AS_OPERATOR)

    assert (status.version, status.livemode, status.broker, status.database) == ("1.2.3", False, "memory", "sqlite")
    assert (status.pending_stripe_events, status.failed_stripe_events) == (1, 1)
    assert (status.pending_fulfillments, status.failed_fulfillments) == (1, 0)
    assert status.log_head == 2
    assert status.HasField("oldest_pending_age")
    assert not status.HasField("last_reconcile_time")


async def test_an_idle_service_has_nothing_that_waits(service: RpcService) -> None:
    status = await service.operations.GetStatus(ops.GetStatusRequest(), metadata=AS_OPERATOR)

    assert status == ops.GetStatusResponse(version="1.2.3", broker="memory", database="sqlite")


async def test_an_event_is_shown_with_its_verdict_and_its_payload_only_alone(service: RpcService) -> None:
    order = await service.paid_order()

    listed = await service.operations.ListStripeEvents(
        ops.ListStripeEventsRequest(order_id=order.order_id, states=[StripeEvent.STATE_APPLIED]), metadata=AS_OPERATOR
    )
    (event,) = listed.stripe_events
    shown = await service.operations.GetStripeEvent(
        ops.GetStripeEventRequest(stripe_event_id=event.stripe_event_id), metadata=AS_OPERATOR
    )

    assert (event.type, event.order_id, event.organization_id) == (
        "checkout.session.completed",
        order.order_id,
        "org_1",
    )
    assert event.verdict_reason == "folded into its order"
    assert event.payload == b""
    assert order.order_id.encode() in shown.stripe_event.payload
    shown.stripe_event.ClearField("payload")
    assert shown.stripe_event == event


async def test_events_are_narrowed_by_type_and_state(service: RpcService) -> None:
    customer = await service.stages.store("customer.created", {"id": "cus_1"})
    await service.stages.store("product.created", {"id": "prod_1"})

    async def found(request: ops.ListStripeEventsRequest) -> list[str]:
        answer = await service.operations.ListStripeEvents(request, metadata=AS_OPERATOR)
        return [event.stripe_event_id for event in answer.stripe_events]

    assert await found(ops.ListStripeEventsRequest(type="customer.created")) == [customer]
    assert await found(ops.ListStripeEventsRequest(states=[StripeEvent.STATE_APPLIED])) == []


async def test_an_unknown_event_is_not_found(service: RpcService) -> None:
    for call in (
        service.operations.GetStripeEvent(ops.GetStripeEventRequest(stripe_event_id="evt_x"), metadata=AS_OPERATOR),
        service.operations.ReplayStripeEvents(
            ops.ReplayStripeEventsRequest(stripe_event_ids=["evt_x"]), metadata=AS_OPERATOR
        ),
    ):
        answer = await refusal(call)
        assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "STRIPE_EVENT_NOT_FOUND")
        assert answer.metadata == {"stripe_event_id": "evt_x"}


async def test_a_dry_replay_tells_what_it_would_change_and_a_real_one_changes_it(service: RpcService) -> None:
    order = await service.order()
    session = service.session(order)
    event_id = await service.stages.store("checkout.session.completed", session, state=StripeEventState.FAILED)

    async def replay(*, dry_run: bool) -> dict[str, tuple[str, str]]:
        request = ops.ReplayStripeEventsRequest(stripe_event_ids=[event_id], dry_run=dry_run)
        answer = await service.operations.ReplayStripeEvents(request, metadata=AS_OPERATOR)
        assert answer.matched == 1
        return {change.field: (change.before, change.after) for change in answer.changes}

    foreseen = await replay(dry_run=True)
    assert (await service.stages.event_now(event_id)).state == StripeEventState.FAILED
    done = await replay(dry_run=False)

    assert foreseen == done
    assert done["state"] == ("STATE_FAILED", "STATE_APPLIED")
    assert done["order.payment_state"] == ("PAYMENT_STATE_OPEN", "PAYMENT_STATE_PAID")
    assert (await service.stages.event_now(event_id)).state == StripeEventState.APPLIED


async def test_a_replay_of_a_state_goes_page_by_page(service: RpcService) -> None:
    for number in range(5):
        await service.stages.store("customer.created", {"id": f"cus_{number}"}, state=StripeEventState.FAILED)
    request = ops.ReplayStripeEventsRequest(states=[StripeEvent.STATE_FAILED], page_size=2)
    matched = 0

    while True:
        answer = await service.operations.ReplayStripeEvents(request, metadata=AS_OPERATOR)
        matched += answer.matched
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token

    assert matched == 5


async def test_a_failed_fulfillment_is_tried_again(service: RpcService) -> None:
    order = await service.paid_order(purchase=SERVICE)
    row = await service.stages.fulfill(order.order_id)
    report = pb.FailFulfillmentRequest(fulfillment_id=row.fulfillment_id, error="sold out")
    failed = await service.payments.FailFulfillment(report, metadata=bearer(SHOP))
    assert failed.order.fulfillments[0].state == FULFILLMENT_STATE_FAILED

    request = ops.RetryFulfillmentRequest(fulfillment_id=row.fulfillment_id)
    answer = await service.operations.RetryFulfillment(request, metadata=AS_OPERATOR)

    assert answer.order.fulfillments[0].state == FULFILLMENT_STATE_PENDING
    assert service.stages.waker.fulfillments[-1] == row.fulfillment_id
    again = await refusal(service.operations.RetryFulfillment(request, metadata=AS_OPERATOR))
    assert (again.code, again.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "FULFILLMENT_NOT_AWAITED")
    assert again.metadata == {"state": "PENDING"}


async def test_an_order_tells_its_whole_story_in_order(service: RpcService) -> None:
    order = await service.paid_order(purchase=SERVICE)
    await service.stages.tell("payment_intent.succeeded", {"id": "pi_1", "metadata": {"order_id": order.order_id}})
    fulfillment = await service.stages.fulfill(order.order_id)
    await service.stages.store("checkout.session.expired", service.session(order), order_id=order.order_id)
    await service.log()

    answer = await service.operations.ExplainOrder(
        ops.ExplainOrderRequest(order_id=order.order_id), metadata=AS_OPERATOR
    )

    times = [entry.time.ToNanoseconds() for entry in answer.entries]
    assert times == sorted(times)
    assert answer.order.order_id == order.order_id
    told = [(entry.stage, entry.summary) for entry in answer.entries]
    for stage, part in [
        ("webhook", "checkout.session.completed came by webhook"),
        ("actor", "checkout.session.completed is APPLIED: folded into its order"),
        ("actor", "payment_intent.succeeded is IGNORED: payment_intent.succeeded changes nothing in an order"),
        ("actor", "checkout.session.expired is PENDING; next try at "),
        ("fulfillment", f"owed for {order.checkout_session_id}"),
        ("fulfillment", "AWAITING_OWNER after 1 attempt"),
        ("stream", "PAYMENT_SUCCEEDED at position 2 of the log"),
        ("stream", "FULFILLMENT_REQUESTED at position 3 of the log"),
    ]:
        assert any(found == stage and part in summary for found, summary in told), (stage, part, told)
    assert {entry.reference for entry in answer.entries if entry.stage == "fulfillment"} == {fulfillment.fulfillment_id}


async def test_what_happened_at_the_same_instant_is_told_in_the_order_of_the_path(service: RpcService) -> None:
    order = await service.paid_order()
    await service.log()

    answer = await service.operations.ExplainOrder(
        ops.ExplainOrderRequest(order_id=order.order_id), metadata=AS_OPERATOR
    )

    stages = [entry.stage for entry in answer.entries]
    assert stages.index("webhook") < stages.index("actor") < stages.index("fulfillment") < stages.index("stream")


async def test_an_unknown_order_has_no_story(service: RpcService) -> None:
    call = service.operations.ExplainOrder(ops.ExplainOrderRequest(order_id="ord_x"), metadata=AS_OPERATOR)

    assert (await refusal(call)).reason == "ORDER_NOT_FOUND"
