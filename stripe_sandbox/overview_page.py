"""The front page: what the sandbox holds and what became of it, and the buttons of a bank and a dashboard."""

from collections.abc import Callable
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from stripe_sandbox import payment_flow
from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.change import WrongStateError
from stripe_sandbox.event_operations import resend_event
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.line_items import line_items_of
from stripe_sandbox.money_overview import MoneyOverview
from stripe_sandbox.page_templates import PAGES, form_action, load_template, page
from stripe_sandbox.session_object import KIND

_SHOWN = 25
_MOVES = {"settle": payment_flow.settle, "fail": payment_flow.fail}


class OverviewPage:
    """The front page of one account."""

    def __init__(self, account: SandboxAccount) -> None:
        self._account = account
        self._money = MoneyOverview(account)
        self._template = load_template("overview.html")

    def routes(self) -> list[Route]:
        """Serve it, its buttons, and the style of all pages."""
        return [
            Route("/", self._show, methods=["GET"]),
            Route("/sessions/{id}", self._move, methods=["POST"]),
            Route("/events/{id}", self._resend, methods=["POST"]),
            Route("/sandbox.css", self._style, methods=["GET"]),
            *self._money.routes(),
        ]

    async def _show(self, request: Request) -> Response:
        account = self._account
        return page(
            self._template,
            now=account.clock.now(),
            offset=round(account.clock.offset),
            webhook_url=account.targets.url,
            faults=account.faults.summary(),
            sessions=self._listed(request, KIND, "sessions", self._session),
            payments=self._listed(request, "charge", "payments", self._money.payment),
            subscriptions=self._listed(request, "subscription", "subscriptions", self._money.subscription),
            events=self._listed(request, "event", "events", self._event),
        )

    def _listed(self, request: Request, kind: str, name: str, shown: Callable[[JsonObject], JsonObject]) -> JsonObject:
        """Give one page of a list, and where it stands in the whole."""
        ledger, number = self._account.ledger, _page_number(request, name)
        rows = ledger.select_of_all(kind, limit=_SHOWN, offset=(number - 1) * _SHOWN)
        return {
            "name": name,
            "rows": [shown(row) for row in rows],
            "total": ledger.count(kind),
            "first": (number - 1) * _SHOWN + 1,
            "last": (number - 1) * _SHOWN + len(rows),
            "page": number,
        }

    def _session(self, session: JsonObject) -> JsonObject:
        ledger = self._account.holding(KIND, session["id"]).ledger
        intent = ledger.find("payment_intent", session["payment_intent"]) or {}
        items = line_items_of(ledger, session["id"])
        return {**session, "awaits_bank": intent.get("status") == "processing", "items": items}

    def _event(self, event: JsonObject) -> JsonObject:
        return {**event, "deliveries": self._account.queue.history(event["id"], 20)}

    async def _move(self, request: Request) -> Response:
        move, session_id = _MOVES.get(await form_action(request)), request.path_params["id"]
        account = self._account.holding(KIND, session_id)
        # Where it was settled meanwhile, the page shows how.
        with suppress(WrongStateError, StripeApiError), account.ledger.transaction():
            if move:
                move(account, session_id)
        return RedirectResponse("/", 303)

    async def _resend(self, request: Request) -> Response:
        with suppress(StripeApiError):
            resend_event(self._account, request.path_params["id"])
        return RedirectResponse("/#events", 303)

    async def _style(self, request: Request) -> Response:
        return FileResponse(PAGES / "sandbox.css", media_type="text/css")


def _page_number(request: Request, name: str) -> int:
    wanted = request.query_params.get(name, "")
    return max(1, int(wanted)) if wanted.isascii() and wanted.isdigit() and len(wanted) < 9 else 1
