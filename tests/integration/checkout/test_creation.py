"""CreateCheckout: the order first, then one session, whose answer becomes the order's state."""

import json
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from payments_service.contract.pb.payments.v1.order_pb2 import (
    MODE_PAYMENT,
    MODE_SUBSCRIPTION,
    PAYMENT_STATE_EXPIRED,
    PAYMENT_STATE_OPEN,
    PAYMENT_STATE_PAID,
)
from payments_service.contract.pb.payments.v1.purchase_pb2 import (
    CustomPurchase,
    LineItem,
    Money,
    PriceData,
    Purchase,
    Recurrence,
)
from payments_service.errors import CallerNotAllowedError, InvalidRequestError, RequestIdReusedError
from payments_service.orders.states import PaymentState
from payments_service.scope import Caller, Scope
from payments_service.stripe_gateway.metadata import decode_purchase

from .checkout_shop import COURSES, Json, Shop, course_request


async def test_an_order_is_open_with_a_page_to_pay_on(shop: Shop) -> None:
    request = course_request()

    order = await shop.create(request)

    session = await shop.session()
    assert (order.payment_state, order.mode, order.livemode) == (PAYMENT_STATE_OPEN, MODE_PAYMENT, False)
    assert (order.checkout_session_id, order.checkout_url) == (session["id"], session["url"])
    assert order.total == Money(currency_code="USD", minor_units=4900)
    assert (order.organization_id, order.user_id, order.created_by) == ("org_1", "user_1", "course-service")
    assert order.purchase == request.purchase
    assert order.expire_time.seconds == session["expires_at"]
    assert shop.waker.pokes == 1


async def test_the_order_is_committed_before_stripe_is_called(shop: Shop) -> None:
    seen: list[int] = []

    async def look() -> None:
        seen.append((await shop.only_row()).payment_state)

    shop.gateway.before_ask = look
    await shop.create(course_request())

    assert seen == [PaymentState.CREATING]


async def test_stripe_gets_the_typed_purchase_on_the_session_and_on_what_is_paid(shop: Shop) -> None:
    request = course_request()
    order = await shop.create(request)

    await shop.control("POST", f"sessions/{order.checkout_session_id}/pay")

    session = await shop.session()
    intent = await shop.read(f"payment_intents/{session['payment_intent']}")
    assert session["client_reference_id"] == order.order_id
    assert session["metadata"]["order_id"] == order.order_id
    assert decode_purchase(session["metadata"]) == request.purchase
    assert intent["metadata"] == session["metadata"]


async def test_a_subscription_carries_the_purchase_too(shop: Shop) -> None:
    monthly = Recurrence(interval=Recurrence.INTERVAL_MONTH)
    price = PriceData(unit_amount=Money(currency_code="EUR", minor_units=1500), product_name="Club", recurrence=monthly)
    purchase = Purchase(custom=CustomPurchase(type="club", attributes={"tier": "gold"}))
    request = course_request(purchase=purchase)
    request.line_items[0].CopyFrom(LineItem(price_data=price, quantity=2))

    order = await shop.create(request)

    row = await shop.row(order.order_id)
    assert order.mode == MODE_SUBSCRIPTION
    assert order.total == Money(currency_code="EUR", minor_units=3000)
    assert "payment_intent_data" not in row.stripe_parameters
    assert row.stripe_parameters["subscription_data"]["metadata"] == (await shop.session())["metadata"]


async def test_the_caller_who_names_no_page_gets_the_bridges(shop: Shop) -> None:
    await shop.create(course_request())

    session = await shop.session()
    assert session["success_url"].endswith("/checkout/return?session_id={CHECKOUT_SESSION_ID}")


async def test_the_callers_own_wishes_reach_stripe(shop: Shop) -> None:
    expire_time = Timestamp()
    expire_time.FromDatetime(shop.now() + timedelta(hours=1))
    wishes = {
        "success_url": "https://shop.example/thanks?id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.example/basket",
        "customer_email": "ada@example.com",
        "allow_promotion_codes": True,
    }

    order = await shop.create(course_request(expire_time=expire_time, **wishes))

    session = await shop.session()
    assert {name: session[name] for name in wishes} == wishes
    assert order.expire_time.seconds == session["expires_at"] == expire_time.seconds


@pytest.mark.parametrize("ahead", [timedelta(minutes=30), timedelta(hours=24)])
async def test_an_expiry_at_either_bound_is_within_stripes(shop: Shop, ahead: timedelta) -> None:
    expire_time = Timestamp()
    expire_time.FromDatetime(shop.now() + ahead)

    order = await shop.create(course_request(expire_time=expire_time))

    assert abs(order.expire_time.seconds - expire_time.seconds) <= 30


async def test_the_same_request_gives_the_same_order_and_asks_stripe_once(shop: Shop) -> None:
    request = course_request()

    first, second = await shop.create(request), await shop.create(request)

    assert first == second
    assert shop.gateway.asked == {"create": 1}
    assert shop.waker.pokes == 1


async def test_the_same_request_gives_the_orders_present_state(shop: Shop) -> None:
    request = course_request()
    order = await shop.create(request)
    await shop.control("POST", f"sessions/{order.checkout_session_id}/pay")
    await shop.get(order.order_id, refresh=True)

    again = await shop.create(request)

    assert again.payment_state == PAYMENT_STATE_PAID
    assert again.checkout_url == ""
    assert len(again.fulfillments) == 1


async def test_the_same_request_after_its_expiry_gives_the_same_order(shop: Shop) -> None:
    expire_time = Timestamp()
    expire_time.FromDatetime(shop.now() + timedelta(hours=1))
    request = course_request(expire_time=expire_time)
    order = await shop.create(request)
    await shop.expire(order.order_id)
    shop.late = timedelta(hours=2)

    again = await shop.create(request)

    assert (again.order_id, again.payment_state) == (order.order_id, PAYMENT_STATE_EXPIRED)


async def test_a_request_id_in_capitals_is_the_same_request(shop: Shop) -> None:
    request = course_request()
    order = await shop.create(request)
    request.request_id = request.request_id.upper()

    assert (await shop.create(request)).order_id == order.order_id


async def test_the_same_request_id_with_another_body_is_refused_and_names_the_order(shop: Shop) -> None:
    request = course_request()
    order = await shop.create(request)
    request.line_items[0].price_data.unit_amount.minor_units = 4901

    with pytest.raises(RequestIdReusedError) as refused:
        await shop.create(request)

    assert refused.value.metadata == {"order_id": order.order_id}
    assert len(await shop.sessions()) == 1


async def test_request_ids_belong_to_a_caller_and_an_organization(shop: Shop) -> None:
    request = course_request()
    other_organization = course_request(request_id=request.request_id, organization_id="org_2")
    other_caller = Caller("shop", operator=False, scope=COURSES.scope)

    made = {
        (await shop.create(request)).order_id,
        (await shop.create(other_organization)).order_id,
        (await shop.create(request, other_caller)).order_id,
    }

    assert len(made) == 3


@pytest.mark.parametrize(
    ("scope", "missing"),
    [
        (Scope(frozenset({"org_2"}), None), "organization 'org_1'"),
        (Scope(None, frozenset({"service"})), "purchase type 'course'"),
    ],
)
async def test_a_caller_sells_only_what_is_its_own(shop: Shop, scope: Scope, missing: str) -> None:
    with pytest.raises(CallerNotAllowedError) as refused:
        await shop.create(course_request(), Caller("narrow", operator=False, scope=scope))

    assert refused.value.metadata == {"method": "payments.v1.Payments/CreateCheckout", "missing": missing}
    assert await shop.sessions() == []


async def test_a_wrong_request_leaves_no_order_and_asks_stripe_nothing(shop: Shop) -> None:
    with pytest.raises(InvalidRequestError):
        await shop.create(course_request(success_url="shop"))

    with pytest.raises(ValueError, match="not enough values"):
        await shop.only_row()
    assert not shop.gateway.asked


async def test_the_timeline_tells_who_asked_and_what_stripe_made(shop: Shop) -> None:
    request = course_request()
    order = await shop.create(request)

    told = [(row.stage, row.summary, row.reference) for row in await shop.timeline(order.order_id)]
    assert told == [
        ("rpc", "course-service asked for a checkout", request.request_id),
        ("stripe", "made the checkout session", order.checkout_session_id),
    ]


async def test_what_was_sent_is_kept_as_it_was_sent(shop: Shop) -> None:
    sent: list[str] = []

    async def keep(session: Json) -> None:
        sent.append(json.dumps((await shop.only_row()).stripe_parameters, sort_keys=True))

    shop.gateway.once_answered = keep
    order = await shop.create(course_request())

    row = await shop.row(order.order_id)
    assert sent == [json.dumps(row.stripe_parameters, sort_keys=True)]
    assert row.stripe_parameters["line_items"][0]["price_data"]["unit_amount"] == 4900
    assert not row.creation_doubtful
    assert row.creation_lease_expire_time is None
