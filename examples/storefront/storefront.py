"""A small shop: a page with Buy buttons, the service's checkout, and a page to come back to. Works without JavaScript.

Start it with `uvicorn storefront:app` beside a running payments service; see README.md.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from payments_client import (
    AsyncPaymentsClient,
    Course,
    DigitalGood,
    FulfillmentState,
    LineItem,
    Money,
    NotFoundError,
    Order,
    PaymentsError,
    PaymentState,
    Purchase,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

HERE = Path(__file__).parent
ORGANIZATION = os.environ.get("STOREFRONT_ORGANIZATION", "org_1")
BUYER_COOKIE = "buyer"
REFRESH_SECONDS = 2
PATIENCE_SECONDS = 8.0  # of a buyer, who is then asked to try again
templates = Jinja2Templates(HERE / "templates")


@dataclass(frozen=True)
class Product:
    """Something on the shelf."""

    sku: str
    name: str
    description: str
    price: Money
    purchase: Purchase


SHELF = {
    product.sku: product
    for product in (
        Product(
            "intro-to-sql",
            "Intro to SQL",
            "Twelve evenings from SELECT to window functions, with a real database from the first one on.",
            Money("EUR", 4900),
            Course("intro-to-sql"),
        ),
        Product(
            "query-cookbook",
            "The Query Cookbook",
            "Eighty recipes for questions that every product team asks. An e-book, yours for good.",
            Money("EUR", 1950),
            DigitalGood("query-cookbook"),
        ),
    )
}


async def shelf(request: Request) -> Response:
    """Show what there is; each form has a request_id of its own, so that a double click buys once."""
    products = [(product, str(uuid4())) for product in SHELF.values()]
    response = _page(request, "shelf.html", products=products, came_back="cancelled" in request.query_params)
    if BUYER_COOKIE not in request.cookies:
        response.set_cookie(BUYER_COOKIE, f"buyer_{uuid4().hex}", httponly=True, samesite="lax")
    return response


async def buy(request: Request) -> Response:
    """Create the checkout and send the buyer to it."""
    form = await request.form()
    product, buyer = SHELF.get(str(form.get("sku"))), request.cookies.get(BUYER_COOKIE)
    if product is None or buyer is None:
        return RedirectResponse(request.url_for("shelf"), 303)
    try:
        checkout = await _payments(request).create_checkout(
            organization_id=ORGANIZATION,
            user_id=buyer,
            purchase=product.purchase,
            line_items=[LineItem(product.name, product.price, description=product.description)],
            success_url=f"{request.url_for('thanks')}?session_id={{CHECKOUT_SESSION_ID}}",
            cancel_url=f"{request.url_for('shelf')}?cancelled",
            request_id=str(form.get("request_id", "")),
            timeout=PATIENCE_SECONDS,
        )
    except PaymentsError as error:
        if not error.retryable:
            raise
        return _page(request, "sorry.html", 503, product=product, request_id=error.request_id)
    if not checkout.url:
        return RedirectResponse(f"{request.url_for('thanks')}?session_id={checkout.order.checkout_session_id}", 303)
    return RedirectResponse(checkout.url, 303)


async def thanks(request: Request) -> Response:
    """Show how far the order is, and look again until it is settled; an order is shown to its own buyer alone."""
    try:
        order = await _payments(request).get_order(
            checkout_session_id=request.query_params.get("session_id") or "none", refresh=True
        )
    except NotFoundError:
        order = None
    if order is None or order.user_id != request.cookies.get(BUYER_COOKIE):
        return _page(request, "unknown.html", 404)
    return _page(request, "thanks.html", order=order, state=_state(order), seconds=REFRESH_SECONDS)


def _state(order: Order) -> str:
    """Say in one word what the page shows."""
    if order.fulfillment_state is FulfillmentState.FULFILLED:
        return "ready"
    match order.payment_state:
        case PaymentState.OPEN | PaymentState.CREATING:
            return "open"
        case PaymentState.AWAITING_FUNDS:
            return "awaiting"
        case PaymentState.PAID:
            return "paid"
        case _:
            return "ended"


def _payments(request: Request) -> AsyncPaymentsClient:
    client: AsyncPaymentsClient = request.app.state.payments
    return client


def _page(request: Request, name: str, status: int = 200, **values: object) -> Response:
    response = templates.TemplateResponse(request, name, values, status_code=status)
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'self'; form-action *"
    response.headers["Referrer-Policy"] = "same-origin"
    return response


@asynccontextmanager
async def _connected(app: Starlette) -> AsyncIterator[None]:
    async with AsyncPaymentsClient() as app.state.payments:
        yield


app = Starlette(
    routes=[
        Route("/", shelf),
        Route("/buy", buy, methods=["POST"]),
        Route("/thanks", thanks),
        Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
    ],
    lifespan=_connected,
)
