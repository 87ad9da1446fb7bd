"""Requests that Stripe would refuse are refused, with Stripe's codes and the name of the parameter."""

import io
from typing import Any, get_args

import aiohttp
import pytest
import stripe

from stripe_sandbox.sandbox_server import Sandbox

from .sandbox_driver import KEY, Controls, course

_HOUR = 3600
# The SDK lists Stripe's error codes where an intent tells of its last error.
KNOWN_CODES = get_args(get_args(stripe.PaymentIntent.LastPaymentError.__annotations__["code"])[0])


def _item(**price: object) -> dict[str, Any]:
    data = {"currency": "usd", "unit_amount": 4900, "product_data": {"name": "Course"}} | price
    return {"price_data": {name: value for name, value in data.items() if value is not None}, "quantity": 1}


REFUSED: list[tuple[dict[str, Any], str | None, str | None]] = [
    ({"payment_method_types": ["card"]}, "parameter_unknown", "payment_method_types"),
    ({"line_items": [{**_item(), "colour": "red"}]}, "parameter_unknown", "line_items[0][colour]"),
    (
        {"line_items": [_item(product_data={"colour": "x"})]},
        "parameter_unknown",
        "line_items[0][price_data][product_data][colour]",
    ),
    ({"success_url": None}, "parameter_missing", "success_url"),
    ({"mode": None}, "parameter_missing", "mode"),
    ({"line_items": None}, "parameter_missing", "line_items"),
    ({"line_items": [_item(currency=None)]}, "parameter_missing", "line_items[0][price_data][currency]"),
    (
        {"line_items": [_item(product_data={"description": "x"})]},
        "parameter_missing",
        "line_items[0][price_data][product_data][name]",
    ),
    ({"line_items": [{"price_data": _item()["price_data"]}]}, "parameter_missing", "line_items[0][quantity]"),
    (
        {"line_items": [_item(unit_amount="12.5")]},
        "parameter_invalid_integer",
        "line_items[0][price_data][unit_amount]",
    ),
    ({"line_items": [_item(unit_amount=-1)]}, "parameter_invalid_integer", "line_items[0][price_data][unit_amount]"),
    ({"line_items": [{"price": "price_none", "quantity": 1}]}, "resource_missing", "line_items[0][price]"),
    ({"line_items": [_item(currency="xxx")]}, None, "line_items[0][price_data][currency]"),
    ({"line_items": [_item(unit_amount=49)]}, "amount_too_small", None),
    (
        {"line_items": [_item(currency="kwd", unit_amount=1234)]},
        "parameter_invalid_integer",
        "line_items[0][price_data][unit_amount]",
    ),
    ({"line_items": [_item(), _item(currency="eur")]}, None, "line_items"),
    ({"line_items": [_item()] * 101}, None, "line_items"),
    ({"line_items": [_item(recurring={"interval": "month"})]}, None, "line_items[0][price_data][recurring]"),
    ({"mode": "barter"}, None, "mode"),
    ({"mode": "subscription"}, None, "payment_intent_data"),
    ({"allow_promotion_codes": "perhaps"}, None, "allow_promotion_codes"),
    ({"client_reference_id": "x" * 201}, None, "client_reference_id"),
    ({"success_url": "shop"}, "url_invalid", "success_url"),
    ({"success_url": "javascript:alert(1)"}, "url_invalid", "success_url"),
    ({"metadata": {f"k{n}": "v" for n in range(51)}}, None, "metadata"),
    ({"metadata": {"k" * 41: "v"}}, None, "metadata"),
    ({"metadata": {"k": "v" * 501}}, None, "metadata[k]"),
    ({"metadata": {"a[b]": "v"}}, None, None),
    ({"customer": "cus_none"}, "resource_missing", "customer"),
    ({"customer": "cus_1", "customer_email": "a@example.com"}, "parameters_exclusive", "customer_email"),
    ({"customer_email": "nobody"}, "email_invalid", "customer_email"),
    (
        {"line_items": [_item(product_data={"name": ""})]},
        "parameter_invalid_empty",
        "line_items[0][price_data][product_data][name]",
    ),
    ({"client_reference_id": ""}, "parameter_invalid_empty", "client_reference_id"),
    (
        {"line_items": [_item(product_data={"name": "x" * 5001})]},
        None,
        "line_items[0][price_data][product_data][name]",
    ),
    ({"line_items": [_item(unit_amount=99_999_999)] * 2}, "amount_too_large", None),
    ({"line_items": [{**_item(), "metadata": {"k" * 41: "v"}}]}, None, "line_items[0][metadata]"),
    ({"line_items": [_item(unit_amount=None)]}, "parameter_missing", "line_items[0][price_data][unit_amount]"),
    (
        {"line_items": [_item(unit_amount_decimal="4900")]},
        "parameters_exclusive",
        "line_items[0][price_data][unit_amount]",
    ),
    ({"expand": ["colour"]}, None, "expand"),
    ({"expand": ["metadata"]}, None, "expand"),
]
NOT_PLAYED: list[tuple[dict[str, Any], str]] = [
    ({"discounts": [{"coupon": "half"}]}, "discounts"),
    ({"payment_intent_data": {"capture_method": "manual"}}, "payment_intent_data[capture_method]"),
    ({"line_items": [{**_item(), "tax_rates": ["txr_1"]}]}, "line_items[0][tax_rates]"),
    ({"automatic_tax": {"enabled": True, "liability": {"type": "self"}}}, "automatic_tax[liability]"),
    ({"invoice_creation": {"enabled": True}}, "invoice_creation"),
]


@pytest.mark.parametrize(("changes", "code", "param"), REFUSED)
async def test_a_checkout_that_stripe_refuses_is_refused(
    client: stripe.StripeClient, changes: dict[str, Any], code: str | None, param: str | None
) -> None:
    params = {name: value for name, value in course(**changes).items() if value is not None}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.checkout.sessions.create_async(params)  # type: ignore[arg-type]
    assert refused.value.http_status == 400
    assert refused.value.code is None or refused.value.code in KNOWN_CODES
    if code:
        assert refused.value.code == code
    if param:
        assert refused.value.param == param


@pytest.mark.parametrize(("changes", "param"), NOT_PLAYED)
async def test_what_the_sandbox_does_not_play_is_not_taken_silently(
    client: stripe.StripeClient, changes: dict[str, Any], param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="does not play") as refused:
        await client.v1.checkout.sessions.create_async(course(**changes))
    assert refused.value.param == param


@pytest.mark.parametrize("seconds", [29 * 60, 24 * _HOUR + 60])
async def test_an_expiry_outside_half_an_hour_to_a_day_is_refused(
    client: stripe.StripeClient, sandbox: Sandbox, seconds: int
) -> None:
    expires_at = sandbox.account.clock.seconds() + seconds
    with pytest.raises(stripe.InvalidRequestError, match="at least 30 minutes"):
        await client.v1.checkout.sessions.create_async(course(expires_at=expires_at))


async def test_a_refused_checkout_leaves_nothing_behind(client: stripe.StripeClient, sandbox: Sandbox) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.checkout.sessions.create_async(course(line_items=[_item(), _item(currency="eur")]))
    assert sandbox.account.ledger.select("price") == []


async def test_an_unknown_object_is_stripes_404(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.v1.payment_intents.retrieve_async("pi_none")
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/checkout/sessions/a/b/c", "/v2/core/events"])
async def test_an_unknown_route_answers_in_stripes_envelope(
    sandbox: Sandbox, http: aiohttp.ClientSession, path: str
) -> None:
    async with http.get(sandbox.url + path, headers={"Authorization": f"Bearer {KEY}"}) as reply:
        body = await reply.json()
    assert reply.status == 404
    assert body["error"]["type"] == "invalid_request_error"
    assert reply.headers["Request-Id"].startswith("req_")


async def test_the_version_that_was_asked_for_is_echoed(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Stripe-Version": "2026-10-28.endive"}
    async with http.get(sandbox.url + "/v1/events", headers=headers) as reply:
        assert reply.headers["Stripe-Version"] == "2026-10-28.endive"


async def test_another_version_than_the_sdks_is_refused(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Stripe-Version": "2019-01-01"}
    async with http.get(sandbox.url + "/v1/events", headers=headers) as reply:
        assert reply.status == 400
        assert "2019-01-01" in (await reply.json())["error"]["message"]


async def test_a_body_that_is_too_large_is_refused(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with http.post(sandbox.url + "/v1/customers", headers=headers, data=io.BytesIO(b"a" * (2 << 20))) as reply:
        assert reply.status == 413


@pytest.mark.parametrize("key", ["sk_live_123", "rk_live_123"])
async def test_a_live_key_is_refused_and_not_repeated(sandbox: Sandbox, http: aiohttp.ClientSession, key: str) -> None:
    async with http.get(sandbox.url + "/v1/events", headers={"Authorization": f"Bearer {key}"}) as reply:
        text = await reply.text()
    assert reply.status == 401
    assert "live" in text
    assert key not in text


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer pk_test_1", "Basic !!", "Digest sk_test_1"])
async def test_a_call_without_a_test_key_is_refused(
    sandbox: Sandbox, http: aiohttp.ClientSession, authorization: str
) -> None:
    async with http.get(sandbox.url + "/v1/events", headers={"Authorization": authorization}) as reply:
        assert reply.status == 401


@pytest.mark.parametrize("key", ["sk_test_1", "rk_test_1"])
async def test_test_keys_are_accepted_as_bearer_and_basic(
    sandbox: Sandbox, http: aiohttp.ClientSession, key: str
) -> None:
    basic = aiohttp.encode_basic_auth(key, "")
    for authorization in (f"Bearer {key}", basic):
        async with http.get(sandbox.url + "/v1/events", headers={"Authorization": authorization}) as reply:
            assert reply.status == 200


async def test_metadata_can_be_updated_and_taken_away(client: stripe.StripeClient) -> None:
    session = await client.v1.checkout.sessions.create_async(course(metadata={"a": "1", "b": "2"}))
    updated = await client.v1.checkout.sessions.update_async(session.id, {"metadata": {"a": "", "c": "3"}})
    assert updated.metadata is not None
    assert updated.metadata.to_dict() == {"b": "2", "c": "3"}


async def test_tax_and_promotion_codes_are_taken_and_change_nothing(client: stripe.StripeClient) -> None:
    params = course(automatic_tax={"enabled": True}, allow_promotion_codes=True)
    session = await client.v1.checkout.sessions.create_async(params)
    assert session.automatic_tax.enabled
    assert (session.allow_promotion_codes, session.amount_total) == (True, 4900)


async def test_a_price_finer_than_a_cent_is_rounded_on_the_line(client: stripe.StripeClient) -> None:
    item = {**_item(unit_amount=None, unit_amount_decimal="100.25"), "quantity": 3}
    session = await client.v1.checkout.sessions.create_async(course(line_items=[item], expand=["line_items"]))
    assert session.amount_total == 301
    assert session.line_items is not None
    price = session.line_items.data[0].price
    assert price is not None
    assert (price.unit_amount, str(price.unit_amount_decimal)) == (None, "100.25")


async def test_a_checkout_by_card_alone_cannot_be_paid_later(client: stripe.StripeClient, controls: Controls) -> None:
    session = await client.v1.checkout.sessions.create_async(course(allowed_payment_method_types=["card"]))
    refused = await controls.move(session.id, "pay_later", status=409)
    assert "cards only" in refused["error"]["message"]
