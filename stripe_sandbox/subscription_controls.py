"""The controls of subscriptions and invoices: a period is over, a customer pays late, the dashboard pauses or ends."""

from starlette.requests import Request
from starlette.routing import Route

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.change import Change
from stripe_sandbox.charging import Outcome
from stripe_sandbox.control_gate import BadControlError, checked_body, control_route
from stripe_sandbox.invoice_flow import KIND as INVOICE
from stripe_sandbox.invoice_flow import pay_invoice
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.subscription_changes import cancel, pause, resume
from stripe_sandbox.subscription_flow import renew
from stripe_sandbox.subscription_status import KIND as SUBSCRIPTION

_PAUSE_TAKES = (
    '{"behavior": "void"|"keep_as_draft"|"mark_uncollectible"} for the collection to pause (void by default), or '
    '{"status": true} for the subscription itself'
)


class SubscriptionControls:
    """Time's, the customers' and the dashboard's side of one account's subscriptions."""

    def __init__(self, account: SandboxAccount) -> None:
        self._account = account

    def routes(self) -> list[Route]:
        """Serve them."""
        path = "/_sandbox/subscriptions/{id}"
        return [
            control_route("POST", path + "/renew", self._renew),
            control_route("POST", path + "/pause", self._pause),
            control_route("POST", path + "/resume", self._resume),
            control_route("POST", path + "/cancel", self._cancel),
            control_route("POST", "/_sandbox/invoices/{id}/pay", self._pay),
        ]

    def _renew(self, request: Request, body: JsonObject) -> JsonObject:
        checked_body(body, '{"paid": true|false, "action_required": true|false}', paid=bool, action_required=bool)
        outcome = Outcome.PAID if body.get("paid", not body.get("action_required")) else Outcome.DECLINED
        if body.get("action_required"):
            if outcome is Outcome.PAID:
                raise BadControlError("It cannot be paid where the buyer has to act first.")
            outcome = Outcome.ACTION_REQUIRED
        account = self._holding(request)
        with account.ledger.transaction():
            renew(account, request.path_params["id"], outcome)
            subscription = account.ledger.get(SUBSCRIPTION, request.path_params["id"])
            return account.ledger.get(INVOICE, subscription["latest_invoice"])

    def _pause(self, request: Request, body: JsonObject) -> JsonObject:
        checked_body(body, _PAUSE_TAKES, behavior=str, status=bool)
        account = self._holding(request)
        with account.ledger.transaction():
            behavior = "" if body.get("status") else body.get("behavior", "void")
            return pause(Change(account), request.path_params["id"], behavior)

    def _resume(self, request: Request, body: JsonObject) -> JsonObject:
        checked_body(body, "nothing")
        account = self._holding(request)
        with account.ledger.transaction():
            return resume(Change(account), request.path_params["id"])

    def _cancel(self, request: Request, body: JsonObject) -> JsonObject:
        checked_body(body, '{"at_period_end": true|false}', at_period_end=bool)
        account = self._holding(request)
        with account.ledger.transaction():
            at_period_end = body.get("at_period_end", False)
            return cancel(Change(account), request.path_params["id"], at_period_end=at_period_end)

    def _pay(self, request: Request, body: JsonObject) -> JsonObject:
        checked_body(body, "nothing")
        invoice_id = request.path_params["id"]
        account = self._account.holding(INVOICE, invoice_id)
        with account.ledger.transaction():
            pay_invoice(account, invoice_id)
            return account.ledger.get(INVOICE, invoice_id)

    def _holding(self, request: Request) -> SandboxAccount:
        return self._account.holding(SUBSCRIPTION, request.path_params["id"])
