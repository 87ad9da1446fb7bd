"""The controls of what happens to money after it came: refunds made in the dashboard, and disputes."""

from starlette.requests import Request
from starlette.routing import Route

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.change import Change
from stripe_sandbox.control_gate import BadControlError, checked_body, control_route
from stripe_sandbox.dispute_flow import KIND as DISPUTE
from stripe_sandbox.dispute_flow import close_dispute, dispute_charge
from stripe_sandbox.dispute_object import REASONS
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.refund_flow import KIND as REFUND
from stripe_sandbox.refund_flow import SETTLED, charge_to_refund, refund_charge, settle_refund

INTENT = "payment_intent"
_REFUND_TAKES = (
    '{"amount": n, "status": "succeeded"|"pending"|"failed", "reason": "...", "metadata": {...}}, each of them optional'
)
_DISPUTE_TAKES = f'{{"amount": n, "reason": {"|".join(REASONS)}, "inquiry": true}}, each of them optional'


class MoneyControls:
    """The dashboard's and the banks' side of one account."""

    def __init__(self, account: SandboxAccount) -> None:
        self._account = account

    def routes(self) -> list[Route]:
        """Serve them."""
        return [
            control_route("POST", "/_sandbox/payment_intents/{id}/refund", self._refund),
            control_route("POST", "/_sandbox/refunds/{id}/settle", self._settle),
            control_route("POST", "/_sandbox/payment_intents/{id}/dispute", self._dispute),
            control_route("POST", "/_sandbox/disputes/{id}/close", self._close),
        ]

    def _refund(self, request: Request, body: JsonObject) -> JsonObject:
        checked_body(body, _REFUND_TAKES, amount=int, status=str, reason=str, metadata=dict)
        status = _one_of(body.get("status", "succeeded"), "status", ("succeeded", "pending", "failed"))
        intent_id = request.path_params["id"]
        account = self._account.holding(INTENT, intent_id)
        with account.ledger.transaction():
            begins = "pending" if status == "failed" else status
            refund = refund_charge(Change(account), charge_to_refund(account, intent_id), body, begins)
            if status == "failed":
                settle_refund(account, refund["id"], status)
            return account.ledger.get(REFUND, refund["id"])

    def _settle(self, request: Request, body: JsonObject) -> JsonObject:
        checked_body(body, '{"status": "succeeded"|"failed"|"canceled"}', status=str)
        status, refund_id = _one_of(body.get("status"), "status", SETTLED), request.path_params["id"]
        account = self._account.holding(REFUND, refund_id)
        with account.ledger.transaction():
            settle_refund(account, refund_id, status)
            return account.ledger.get(REFUND, refund_id)

    def _dispute(self, request: Request, body: JsonObject) -> JsonObject:
        checked_body(body, _DISPUTE_TAKES, amount=int, reason=str, inquiry=bool)
        _one_of(body.get("reason", REASONS[0]), "reason", REASONS)
        intent_id = request.path_params["id"]
        account = self._account.holding(INTENT, intent_id)
        with account.ledger.transaction():
            return dispute_charge(account, charge_to_refund(account, intent_id), body)

    def _close(self, request: Request, body: JsonObject) -> JsonObject:
        checked_body(body, '{"status": "won"|"lost"}', status=str)
        status, dispute_id = _one_of(body.get("status"), "status", ("won", "lost")), request.path_params["id"]
        account = self._account.holding(DISPUTE, dispute_id)
        with account.ledger.transaction():
            close_dispute(account, dispute_id, status)
            return account.ledger.get(DISPUTE, dispute_id)


def _one_of(value: object, name: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise BadControlError(f"{name} is {value!r}: it can be {', '.join(known)}.")
    return str(value)
