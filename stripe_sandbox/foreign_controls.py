"""The controls that sell by other ways than this service's checkouts, with whatever metadata a test wants."""

from starlette.requests import Request
from starlette.routing import Route

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.control_gate import BadControlError, checked_body, control_route
from stripe_sandbox.foreign_purchase import open_link_session, send_invoice
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.request_headers import account_named
from stripe_sandbox.session_object import shown_session

_INVOICE_FIELDS = {
    "metadata": dict, "amount": int, "currency": str, "name": str, "description": str, "customer_email": str,
    "account": str,
}  # fmt: skip
_SESSION_FIELDS = {
    "mode": str, "metadata": dict, "payment_intent_metadata": dict, "subscription_metadata": dict, "amount": int,
    "currency": str, "name": str, "interval": str, "client_reference_id": str, "customer_email": str,
    "customer_creation": str, "account": str,
}  # fmt: skip


class ForeignControls:
    """Sells on one account, or on a connected one that `account` names."""

    def __init__(self, account: SandboxAccount) -> None:
        self._account = account

    def routes(self) -> list[Route]:
        """Serve them."""
        return [
            control_route("POST", "/_sandbox/sessions", self._open_session),
            control_route("POST", "/_sandbox/invoices", self._send_invoice),
        ]

    def _open_session(self, request: Request, body: JsonObject) -> JsonObject:
        account = self._acting(body, _SESSION_FIELDS)
        if body.get("mode", "payment") not in ("payment", "subscription"):
            raise BadControlError("mode can be payment or subscription.")
        if body.get("interval", "month") not in ("day", "week", "month", "year"):
            raise BadControlError("interval can be day, week, month or year.")
        with account.ledger.transaction():
            session = open_link_session(account, body)
        account.work_due.set()
        return shown_session(session, account.base_url)

    def _send_invoice(self, request: Request, body: JsonObject) -> JsonObject:
        account = self._acting(body, _INVOICE_FIELDS)
        with account.ledger.transaction():
            return send_invoice(account, body)

    def _acting(self, body: JsonObject, fields: dict[str, type]) -> SandboxAccount:
        checked_body(body, f"{', '.join(fields)}, each of them optional", **fields)
        for name, value in body.items():
            if name.endswith("metadata") and not all(isinstance(text, str) for text in value.values()):
                raise BadControlError(f"{name} holds texts only.")
        return self._account.acting_for(account_named(body.get("account", "")))
