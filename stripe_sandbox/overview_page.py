"""The sandbox's front page: its sessions, events and deliveries, and the bank's buttons for delayed payments."""

import json
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from stripe_sandbox import payment_flow
from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.checkout_page import PAGE_HEADERS
from stripe_sandbox.fault_plan import FaultPlan
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.page_templates import PAGES, load_template
from stripe_sandbox.session_object import KIND

_SHOWN = 50
_MOVES = {"settle": payment_flow.settle, "fail": payment_flow.fail}


class OverviewPage:
    """The front page of one account."""

    def __init__(self, account: SandboxAccount) -> None:
        self._account = account
        self._template = load_template("overview.html")

    def routes(self) -> list[Route]:
        """Serve it, its buttons, and the style of all pages."""
        return [
            Route("/", self._show, methods=["GET"]),
            Route("/sessions/{id}", self._submit, methods=["POST"]),
            Route("/sandbox.css", self._style, methods=["GET"]),
        ]

    async def _show(self, request: Request) -> Response:
        account, faults = self._account, self._account.faults
        events = account.ledger.select("event", limit=_SHOWN)
        text = self._template.render(
            now=account.clock.now(),
            offset=round(account.clock.offset),
            webhook_url=account.webhook_url,
            faults="" if faults == FaultPlan() else json.dumps(faults.to_json()),
            sessions=[self._with_bank(session) for session in account.ledger.select(KIND, limit=_SHOWN)],
            events=[account.with_pending(event) for event in events],
            deliveries=account.queue.history(None, _SHOWN),
        )
        return HTMLResponse(text, 200, PAGE_HEADERS)

    def _with_bank(self, session: JsonObject) -> JsonObject:
        intent = self._account.ledger.find("payment_intent", session["payment_intent"]) or {}
        return {**session, "awaits_bank": intent.get("status") == "processing"}

    async def _submit(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode(errors="replace"))
        move = _MOVES.get((form.get("action") or [""])[0])
        try:
            with self._account.ledger.transaction():
                if move:
                    move(self._account, request.path_params["id"])
        except (payment_flow.WrongStateError, StripeApiError):
            return RedirectResponse("/", 303)
        return RedirectResponse("/", 303)

    async def _style(self, request: Request) -> Response:
        return FileResponse(PAGES / "sandbox.css", media_type="text/css")
