"""Puts the sandbox together: Stripe's API, the controls, the pages, and the two loops behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.api_gate import ApiGate
from stripe_sandbox.catalog_operations import catalog_routes
from stripe_sandbox.checkout_page import CheckoutPage
from stripe_sandbox.configuration import SandboxConfig
from stripe_sandbox.control_routes import Controls
from stripe_sandbox.endpoint_operations import endpoint_routes
from stripe_sandbox.event_operations import event_routes
from stripe_sandbox.overview_page import OverviewPage
from stripe_sandbox.parameter_types import parameter_adapter
from stripe_sandbox.payment_flow import expire_due
from stripe_sandbox.payment_operations import payment_routes
from stripe_sandbox.session_operations import session_routes
from stripe_sandbox.wake_loop import run_wake_loop
from stripe_sandbox.webhook_sender import WebhookSender


def create_app(config: SandboxConfig) -> Starlette:
    """Build the application; its state holds the account and the sender. The ledger is open until it stops."""
    account = SandboxAccount(config)
    sender = WebhookSender(account)
    gate = ApiGate(account)
    # Built now, so that the first checkout does not wait for it.
    parameter_adapter("session_create")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await sender.start()
        expiry = asyncio.create_task(run_wake_loop(account.expiries_due, lambda: _expire(account)))
        try:
            yield
        finally:
            expiry.cancel()
            await asyncio.gather(expiry, return_exceptions=True)
            await sender.stop()
            account.ledger.close()

    routes = [
        *session_routes(gate),
        *payment_routes(gate),
        *catalog_routes(gate),
        *event_routes(gate),
        *endpoint_routes(gate),
        gate.unknown_route("/v1/{path:path}"),
        gate.unknown_route("/v2/{path:path}"),
        *Controls(account).routes(),
        *CheckoutPage(account, sender).routes(),
        *OverviewPage(account).routes(),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.account = account
    app.state.sender = sender
    return app


def _expire(account: SandboxAccount) -> float | None:
    """Expire what is due, and tell when the next session is."""
    upcoming = account.ledger.next_expiry()
    if upcoming is not None and upcoming <= account.clock.seconds():
        with account.ledger.transaction():
            expire_due(account)
        upcoming = account.ledger.next_expiry()
    return None if upcoming is None else upcoming - account.clock.now()
