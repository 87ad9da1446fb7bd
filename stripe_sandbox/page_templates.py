"""The templates of the sandbox's pages: everything escaped, amounts and times as people read them."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, Template

from stripe_sandbox.currencies import format_amount

PAGES = Path(__file__).parent / "pages"


def load_template(name: str) -> Template:
    """Load one of the pages."""
    environment = Environment(loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"money": format_amount, "time": _time, "link": _link}
    return environment.get_template(name)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _link(url: str) -> str:
    """Let only web addresses through: a `javascript:` one would run on our page."""
    return url if urlsplit(url).scheme in ("http", "https") else "#"
