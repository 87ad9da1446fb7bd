"""The sandbox's pages: everything escaped, amounts and times as people read them, nothing foreign loaded."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from jinja2 import Environment, FileSystemLoader, Template
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from stripe_sandbox.currencies import decimals, format_amount

PAGES = Path(__file__).parent / "pages"
# Nothing but the app's own style may load, and no other site may frame the page.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; "
    "base-uri 'none'",
    "Referrer-Policy": "no-referrer",
}


def load_template(name: str) -> Template:
    """Load one of the pages."""
    environment = Environment(loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"money": format_amount, "each": _each, "time": _time, "link": _link}
    return environment.get_template(name)


def page(template: Template, status: int = 200, **values: object) -> Response:
    """Answer with a page."""
    return HTMLResponse(template.render(**values), status, _HEADERS)


def missing_page(title: str, text: str, status: int = 404) -> Response:
    """Answer that there is nothing to see, on a page which says SANDBOX as all do."""
    return page(load_template("missing.html"), status, heading=title, text=text)


async def form_action(request: Request) -> str:
    """Read which button of a form was pressed."""
    form = parse_qs((await request.body()).decode(errors="replace"))
    return (form.get("action") or [""])[0]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _each(price: dict[str, str], currency: str) -> str:
    """Write a unit price, which may be finer than the smallest coin."""
    exact = Decimal(price["unit_amount_decimal"])
    if exact == int(exact):
        return format_amount(int(exact), currency)
    return f"{currency.upper()} {exact.scaleb(-decimals(currency)):f}"


def _link(url: str) -> str:
    """Let only web addresses through: a `javascript:` one would run on our page."""
    return url if urlsplit(url).scheme in ("http", "https") else "#"
