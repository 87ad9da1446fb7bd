"""Turns what a buyer may know into a page: everything escaped, no script, nothing cached, framed or indexed."""

import base64
import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from payments_service.contract.pb.payments.v1.order_pb2 import Order
from webhook_bridge.answer import Answer
from webhook_bridge.order_progress import MOVING, Progress
from webhook_bridge.page_texts import CANCELLED, ORDER_TEXTS, STEPS, UNAVAILABLE, UNKNOWN, PageText
from webhook_bridge.price_text import price_text

PAGES = Path(__file__).parent / "pages"
RELOAD_SECONDS = (1, 1, 2, 3, 5, 8, 13, 21, 34, 60)
SLOW_RELOAD_SECONDS = (5, 10, 30, 60)
RELOADS = 60
"""After about an hour a page that was forgotten in a tab comes to rest."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Which session a page is about, and how often it has reloaded itself."""

    session_id: str
    count: int

    def reload_seconds(self, *, slow: bool) -> int | None:
        """Say when to look again: the longer it took, the later; None for not any more by itself."""
        if self.count >= RELOADS:
            return None
        schedule = SLOW_RELOAD_SECONDS if slow else RELOAD_SECONDS
        return schedule[min(self.count, len(schedule) - 1)]


class PageRenderer:
    """Renders each page into an answer."""

    def __init__(self) -> None:
        loader = FileSystemLoader(PAGES)
        environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        self._style = Markup((PAGES / "return_page.css").read_text())  # noqa: S704  # our own file
        self._template = environment.get_template("return_page.html")
        self._headers = _headers(self._style)

    def order(self, order: Order, progress: Progress, visit: Visit) -> Answer:
        """Show how far an order is, and what it costs."""
        text, moving = ORDER_TEXTS[progress], progress in MOVING
        reload = visit.reload_seconds(slow=progress is Progress.AWAITING_BANK) if moving else None
        return self._page(
            HTTPStatus.OK,
            text,
            visit=visit,
            reload=reload,
            reload_by_hand=moving and reload is None,
            total=price_text(order.total) if order.HasField("total") and text.steps_done else "",
            test_mode=not order.livemode,
        )

    def cancelled(self) -> Answer:
        """Show that the buyer went away from the checkout."""
        return self._page(HTTPStatus.OK, CANCELLED)

    def unknown(self) -> Answer:
        """Show the same to a wrong id, an unknown one, and none."""
        return self._page(HTTPStatus.NOT_FOUND, UNKNOWN)

    def unavailable(self, visit: Visit) -> Answer:
        """Show that we do not know at the moment."""
        reload = visit.reload_seconds(slow=True)
        return self._page(HTTPStatus.SERVICE_UNAVAILABLE, UNAVAILABLE, visit=visit, reload=reload)

    def _page(self, status: HTTPStatus, text: PageText, **shown: object) -> Answer:
        page = self._template.render({**_NOTHING, **shown}, text=text, steps=STEPS, style=self._style)
        return Answer(status, page.encode(), self._headers)


_NOTHING = {"visit": None, "reload": None, "reload_by_hand": False, "total": "", "test_mode": False}


def _headers(style: str) -> tuple[tuple[bytes, bytes], ...]:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return (
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", policy.encode()),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"x-robots-tag", b"noindex"),
    )
