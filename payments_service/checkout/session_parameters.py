"""Writes what Stripe is asked for to make a checkout session; it calls nobody and checks nothing again."""

from datetime import datetime
from typing import Any

from payments_service.checkout.checkout_request import LONGEST, SHORTEST, SLACK, ReturnPages
from payments_service.checkout.line_item_rules import INTERVALS, checkout_mode
from payments_service.contract.pb.payments.v1.order_pb2 import MODE_SUBSCRIPTION
from payments_service.contract.pb.payments.v1.payments_pb2 import CreateCheckoutRequest
from payments_service.contract.pb.payments.v1.purchase_pb2 import LineItem, PriceData
from payments_service.stripe_gateway.metadata import encode_purchase

Parameters = dict[str, Any]


def session_parameters(request: CreateCheckoutRequest, order_id: str, pages: ReturnPages, now: datetime) -> Parameters:
    """Plan the session of a checked request; kept with the order, so that a repetition asks for exactly the same."""
    metadata = encode_purchase(
        request.purchase, organization_id=request.organization_id, user_id=request.user_id, order_id=order_id
    )
    subscribes = checkout_mode(request) == MODE_SUBSCRIPTION
    return {
        "mode": "subscription" if subscribes else "payment",
        "client_reference_id": order_id,
        "line_items": [_item(item) for item in request.line_items],
        "success_url": request.success_url or pages.success_url,
        "cancel_url": request.cancel_url or pages.cancel_url,
        "metadata": metadata,
        # Stripe copies a session's metadata to nothing: what is paid must carry it too.
        ("subscription_data" if subscribes else "payment_intent_data"): {"metadata": metadata},
        **_optional(request, now),
    }


def _optional(request: CreateCheckoutRequest, now: datetime) -> Parameters:
    parameters: Parameters = {}
    if request.HasField("expire_time"):
        parameters["expires_at"] = _expires_at(request, now)
    if request.customer_id:
        parameters["customer"] = request.customer_id
    if request.customer_email:
        parameters["customer_email"] = request.customer_email
    if request.allow_promotion_codes:
        parameters["allow_promotion_codes"] = True
    if request.automatic_tax:
        parameters["automatic_tax"] = {"enabled": True}
    return parameters


def _expires_at(request: CreateCheckoutRequest, now: datetime) -> int:
    """Keep clear of Stripe's bounds by half a minute: the request is on its way for a while."""
    earliest, latest = now + SHORTEST + SLACK, now + LONGEST - SLACK
    return min(max(request.expire_time.seconds, int(earliest.timestamp())), int(latest.timestamp()))


def _item(item: LineItem) -> Parameters:
    quantity = {"quantity": item.quantity or 1}
    if item.WhichOneof("price") == "price_id":
        return {"price": item.price_id, **quantity}
    return {"price_data": _price(item.price_data), **quantity}


def _price(data: PriceData) -> Parameters:
    product = {"name": data.product_name}
    if data.product_description:
        product["description"] = data.product_description
    price: Parameters = {
        "currency": data.unit_amount.currency_code.lower(),
        "unit_amount": data.unit_amount.minor_units,
        "product_data": product,
    }
    if data.HasField("recurrence"):
        name, _ = INTERVALS[data.recurrence.interval]
        price["recurring"] = {"interval": name, "interval_count": data.recurrence.interval_count or 1}
    return price
