"""Stripe's API of products and prices: create and retrieve."""

from starlette.routing import Route

from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.api_gate import ApiGate, Call
from stripe_sandbox.catalog import make_price, make_product
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.object_pages import retrieve
from stripe_sandbox.session_rules import check_metadata


def catalog_routes(gate: ApiGate) -> list[Route]:
    """Serve them."""
    return [
        gate.route("POST", "/v1/products", "product_create", _create_product),
        gate.route("GET", "/v1/products/{id}", "product_retrieve", retrieve("product")),
        gate.route("POST", "/v1/prices", "price_create", _create_price),
        gate.route("GET", "/v1/prices/{id}", "price_retrieve", retrieve("price")),
    ]


def _create_product(call: Call) -> JsonObject:
    if "id" in call.parameters and call.account.ledger.find("product", call.parameters["id"]):
        raise StripeApiError("Product already exists.", code="resource_already_exists", param="id")
    product = make_product(call.account.ledger, call.parameters, call.account.clock.seconds())
    call.account.emit("product.created", product, call.cause)
    return product


def _create_price(call: Call) -> JsonObject:
    check_metadata(call.parameters.get("metadata") or {}, "metadata")
    price = make_price(call.account.ledger, call.parameters, "", call.account.clock.seconds())
    call.account.emit("price.created", price, call.cause)
    return price
