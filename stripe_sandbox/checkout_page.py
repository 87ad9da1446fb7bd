"""The page on which a buyer pays, pays later, is declined, or goes away; plain forms, no script needed."""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stripe_sandbox import payment_flow
from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.change import Change, NotPlayedError, WrongStateError
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.line_items import line_items_of
from stripe_sandbox.page_templates import form_action, load_template, missing_page, page
from stripe_sandbox.session_object import KIND
from stripe_sandbox.webhook_sender import WebhookSender

# Stripe waits as long for the webhook before it sends the buyer on.
DELIVERY_WAIT_SECONDS = 10.0
# The rest is folded away, or on a phone the buttons would be far below.
_ITEMS_SHOWN = 5
_MOVES: Mapping[str, Callable[[SandboxAccount, str], Change]] = {
    "pay": payment_flow.pay,
    "pay_later": payment_flow.pay_later,
    "decline": payment_flow.decline,
}


class CheckoutPage:
    """The pages of one account's sessions."""

    def __init__(self, account: SandboxAccount, sender: WebhookSender) -> None:
        self._account = account
        self._sender = sender
        self._template = load_template("checkout.html")

    def routes(self) -> list[Route]:
        """Serve them."""
        path = "/pay/{id}"
        return [Route(path, self._show, methods=["GET"]), Route(path, self._submit, methods=["POST"])]

    async def _show(self, request: Request) -> Response:
        account, session = self._session(request)
        if session is None:
            return missing_page("There is no such checkout", "Its address may be cut off, or of another sandbox.")
        return self._page(account, session, declined="declined" in request.query_params)

    async def _submit(self, request: Request) -> Response:
        action = await form_action(request)
        account, session = self._session(request)
        if session is None:
            return missing_page("There is no such checkout", "Its address may be cut off, or of another sandbox.")
        here = f"/pay/{session['id']}"
        change = _moved(account, session["id"], action)
        if change is None:
            return RedirectResponse(here, 303)
        if action == "decline":
            return RedirectResponse(f"{here}?declined#panel", 303)
        await self._sender.delivered(change.events[-1]["id"], DELIVERY_WAIT_SECONDS)
        return RedirectResponse(return_url(session), 303)

    def _session(self, request: Request) -> tuple[SandboxAccount, JsonObject | None]:
        session_id = request.path_params["id"]
        account = self._account.holding(KIND, session_id)
        try:
            with account.ledger.transaction():
                return account, payment_flow.current_session(account, session_id)
        except StripeApiError:
            return account, None

    def _page(self, account: SandboxAccount, session: JsonObject, *, declined: bool) -> Response:
        items = [_described(account, item) for item in line_items_of(account.ledger, session["id"])]
        return page(
            self._template,
            session=session,
            items=items,
            declined=declined,
            delayed=_delayed(account, session),
            shown=_ITEMS_SHOWN,
            can_delay=payment_flow.can_pay_later(session),
            email=payment_flow.known_email(account, session),
            return_url=return_url(session),
            period=_period(items),
            recurring_total=sum(item["amount_total"] for item in items if item["price"]["recurring"]),
        )


def return_url(session: JsonObject) -> str:
    """Tell where the buyer goes after paying."""
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _moved(account: SandboxAccount, session_id: str, action: str) -> Change | None:
    """Do what the button says; a session that was paid or expired meanwhile shows so instead."""
    if action not in _MOVES:
        return None
    try:
        with account.ledger.transaction():
            return _MOVES[action](account, session_id)
    except (WrongStateError, NotPlayedError):
        return None


def _delayed(account: SandboxAccount, session: JsonObject) -> str:
    """Tell what came of a payment by bank: `awaited`, `failed`, or nothing where there was none."""
    if session["status"] != "complete" or session["payment_status"] != "unpaid":
        return ""
    intent = account.ledger.find("payment_intent", session["payment_intent"]) or {}
    return "awaited" if intent.get("status") == "processing" else "failed"


def _described(account: SandboxAccount, item: JsonObject) -> JsonObject:
    product = account.ledger.find("product", item["price"]["product"]) or {}
    return {**item, "text": product.get("description")}


def _period(items: list[JsonObject]) -> str:
    """Write how often a subscription is paid, such as `every 3 months`; nothing for a single payment."""
    recurring = next((item["price"]["recurring"] for item in items if item["price"]["recurring"]), None)
    if recurring is None:
        return ""
    count, interval = recurring["interval_count"], recurring["interval"]
    return f"per {interval}" if count == 1 else f"every {count} {interval}s"
