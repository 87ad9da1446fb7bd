"""What the front page shows of money after it came, and the buttons of the dashboard, the banks and time."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.change import Change, WrongStateError
from stripe_sandbox.charging import Outcome
from stripe_sandbox.dispute_flow import close_dispute, dispute_charge
from stripe_sandbox.invoice_flow import pay_invoice
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.page_templates import form_action
from stripe_sandbox.refund_flow import refund_charge, settle_refund
from stripe_sandbox.subscription_changes import cancel, pause, resume
from stripe_sandbox.subscription_flow import renew
from stripe_sandbox.subscription_objects import next_period_end

Button = Callable[[SandboxAccount, str], object]

_BUTTONS: Mapping[str, Mapping[str, Button]] = {
    "charge": {
        "refund": lambda account, charge_id: refund_charge(
            Change(account), account.ledger.get("charge", charge_id), {}
        ),
        "dispute": lambda account, charge_id: dispute_charge(account, account.ledger.get("charge", charge_id), {}),
    },
    "refund": {
        "succeed": lambda account, refund_id: settle_refund(account, refund_id, "succeeded"),
        "fail": lambda account, refund_id: settle_refund(account, refund_id, "failed"),
    },
    "dispute": {
        "win": lambda account, dispute_id: close_dispute(account, dispute_id, "won"),
        "lose": lambda account, dispute_id: close_dispute(account, dispute_id, "lost"),
    },
    "subscription": {
        "renew": lambda account, subscription_id: renew(account, subscription_id, Outcome.PAID),
        "fail": lambda account, subscription_id: renew(account, subscription_id, Outcome.DECLINED),
        "pause": lambda account, subscription_id: pause(Change(account), subscription_id, "void"),
        "resume": lambda account, subscription_id: resume(Change(account), subscription_id),
        "cancel": lambda account, subscription_id: cancel(Change(account), subscription_id, at_period_end=False),
    },
    "invoice": {"pay": pay_invoice},
}


class MoneyOverview:
    """The payments and subscriptions of all accounts."""

    def __init__(self, account: SandboxAccount) -> None:
        self._account = account

    def routes(self) -> list[Route]:
        """Serve the buttons."""
        return [Route("/money/{kind}/{id}", self._press, methods=["POST"])]

    def payment(self, charge: JsonObject) -> JsonObject:
        """Give a charge with what was given back of it, and who disputes it."""
        ledger = self._account.holding("charge", charge["id"]).ledger
        of_charge = [("json_extract(body, '$.charge') = ?", charge["id"])]
        disputes = ledger.select("dispute", of_charge, ascending=True)
        left = charge["paid"] and charge["amount_captured"] > charge["amount_refunded"]
        return {
            **charge,
            "refunds": ledger.select("refund", of_charge, ascending=True),
            "disputes": disputes,
            "can_go_back": left and all(dispute["is_charge_refundable"] for dispute in disputes),
        }

    def subscription(self, subscription: JsonObject) -> JsonObject:
        """Give a subscription with its newest invoice, and when it is renewed."""
        ledger = self._account.holding("subscription", subscription["id"]).ledger
        return {
            **subscription,
            "invoice": ledger.find("invoice", subscription["latest_invoice"]) or {},
            "renewed_at": next_period_end(subscription),
        }

    async def _press(self, request: Request) -> Response:
        kind, object_id = request.path_params["kind"], request.path_params["id"]
        button = _BUTTONS.get(kind, {}).get(await form_action(request))
        account = self._account.holding(kind, object_id)
        # Where it cannot be any more, the page shows why.
        with suppress(WrongStateError, StripeApiError), account.ledger.transaction():
            if button:
                button(account, object_id)
        place = "subscriptions" if kind in ("subscription", "invoice") else "payments"
        return RedirectResponse(f"/#{place}", 303)
