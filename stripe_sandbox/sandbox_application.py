"""Puts the sandbox together: Stripe's API, the controls, the pages, and the two loops behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.account_operations import account_routes
from stripe_sandbox.api_gate import ApiGate
from stripe_sandbox.catalog_operations import catalog_routes
from stripe_sandbox.charge_operations import charge_routes
from stripe_sandbox.checkout_page import CheckoutPage
from stripe_sandbox.configuration import SandboxConfig
from stripe_sandbox.control_routes import Controls
from stripe_sandbox.customer_operations import customer_routes
from stripe_sandbox.dispute_operations import dispute_routes
from stripe_sandbox.endpoint_operations import endpoint_routes
from stripe_sandbox.event_operations import event_routes
from stripe_sandbox.foreign_controls import ForeignControls
from stripe_sandbox.invoice_drafting import invoice_drafting_routes
from stripe_sandbox.invoice_operations import invoice_routes
from stripe_sandbox.money_controls import MoneyControls
from stripe_sandbox.old_records import OldRecords
from stripe_sandbox.overview_page import OverviewPage
from stripe_sandbox.page_templates import missing_page
from stripe_sandbox.parameter_types import parameter_adapter
from stripe_sandbox.payment_intent_operations import payment_intent_routes
from stripe_sandbox.payment_method_operations import payment_method_routes
from stripe_sandbox.payment_page_operations import payment_page_routes
from stripe_sandbox.refund_operations import refund_routes
from stripe_sandbox.session_operations import session_routes
from stripe_sandbox.subscription_controls import SubscriptionControls
from stripe_sandbox.subscription_creation import subscription_creation_routes
from stripe_sandbox.subscription_operations import subscription_routes
from stripe_sandbox.timetable import do_due, next_time
from stripe_sandbox.wake_loop import run_wake_loop
from stripe_sandbox.webhook_sender import WebhookSender


def create_app(config: SandboxConfig) -> Starlette:
    """Build the application; its state holds the account and the sender. The ledger is open until it stops."""
    account = SandboxAccount(config)
    sender = WebhookSender(account)
    gate, old_records = ApiGate(account), OldRecords(account)
    # Built now, so that the first checkout does not wait for it.
    parameter_adapter("session_create")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await sender.start()
        background = asyncio.create_task(run_wake_loop(account.work_due, lambda: _background(account, old_records)))
        try:
            yield
        finally:
            background.cancel()
            await asyncio.gather(background, return_exceptions=True)
            await sender.stop()
            account.ledger.close()

    routes = [
        *session_routes(gate),
        *payment_intent_routes(gate),
        *charge_routes(gate),
        *payment_method_routes(gate),
        *payment_page_routes(gate),
        *refund_routes(gate),
        *dispute_routes(gate),
        *subscription_routes(gate),
        *subscription_creation_routes(gate),
        *invoice_routes(gate),
        *invoice_drafting_routes(gate),
        *catalog_routes(gate),
        *customer_routes(gate),
        *event_routes(gate),
        *endpoint_routes(gate),
        *account_routes(gate),
        gate.unknown_route("/v1/{path:path}"),
        gate.unknown_route("/v2/{path:path}"),
        *ForeignControls(account).routes(),
        *MoneyControls(account).routes(),
        *SubscriptionControls(account).routes(),
        *Controls(account).routes(),
        *CheckoutPage(account, sender).routes(),
        *OverviewPage(account).routes(),
    ]
    handlers = {404: _missing, 405: _missing, 500: _failed}
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    app.state.account = account
    app.state.sender = sender
    return app


async def _missing(request: Request, error: Exception) -> Response:
    """Answer where there is nothing: in JSON to those who drive the sandbox, on a page to those who look."""
    what = f"{request.method} {request.url.path}"
    if request.url.path.startswith("/_sandbox"):
        return JSONResponse({"error": {"message": f"There is no control {what}."}}, 404)
    return missing_page("There is nothing here", f"The sandbox has no {what}.")


async def _failed(request: Request, error: Exception) -> Response:
    text = "This is a fault of the sandbox; its log says more."
    if request.url.path.startswith("/_sandbox"):
        return JSONResponse({"error": {"message": text}}, 500)
    return missing_page("Something went wrong", text, 500)


def _background(account: SandboxAccount, old_records: OldRecords) -> float:
    """Do what is due, forget what is old, and tell in how many seconds there is more to do."""
    upcoming = next_time(account)
    if upcoming is not None and upcoming <= account.clock.seconds():
        with account.ledger.transaction():
            do_due(account)
        upcoming = next_time(account)
    later = old_records.forget()
    return later if upcoming is None else min(later, upcoming - account.clock.now())
