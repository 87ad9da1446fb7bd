"""Structured logs to standard error, one pipeline for our own and for libraries' lines; no secret passes it.

What looks like a key, a token, a card or an e-mail address is masked in every value, tracebacks included, so that
a careless log statement leaks nothing.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["", "console", "json"]
QUIET = ("uvicorn", "uvicorn.access", "aiosqlite", "alembic", "asyncio", "stripe", "sqlalchemy.engine")
"""What they say below a warning is either ours to say, or nobody's."""
MUTE = ("pika",)
"""They write half a page for each try to reach a broker that is away; the waker and the consumers say it in a line."""

_SUSPECT = re.compile(r"@|[sr]k_|whsec_|_secret_|bearer|(?:\d[ -]?){13}", re.IGNORECASE)
"""Found in whatever any of the patterns below finds: most values are seen through in one pass."""

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(://[^:/@\s]*:)[^\s\"']+@"), r"\1***@"),
    (re.compile(r"\b(sk|rk)_\w+"), r"\1_***"),
    (re.compile(r"\bwhsec_\w+"), "whsec_***"),
    (re.compile(r"(_secret_)\w+"), r"\1***"),
    (re.compile(r"\b(bearer\s+)[\w.~+/=-]+", re.IGNORECASE), r"\1***"),
    (re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]*\w"), "***@***"),
)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)")


def configure_logs(log_format: LogFormat, stream: TextIO | None = None) -> None:
    """Send every log line of this process to a stream; an empty format means console on a terminal, else JSON."""
    out = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _mask_line,
                _renderer(out, log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in MUTE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def mask_secrets(text: str) -> str:
    """Hide what looks like a secret or a person's address."""
    if _SUSPECT.search(text) is None:
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _CARD.sub(_mask_card, text)


def _renderer(out: TextIO, log_format: LogFormat) -> Processor:
    if log_format == "json" or not (log_format or out.isatty()):
        return structlog.processors.JSONRenderer(default=str)
    # The default formatter shows the local variables of each frame, requests and keys among them.
    return structlog.dev.ConsoleRenderer(
        colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=30
    )


def _mask_line(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Stand before the renderer: colours would hide where a word begins."""
    return {key: _masked(value) for key, value in line.items()}


def _masked(value: Any) -> Any:  # noqa: ANN401  # whatever is logged
    match value:
        case None | bool() | float():
            return value
        case str():
            return mask_secrets(value)
        case int():
            return value if value < 10**12 else mask_secrets(str(value))
        case Mapping():
            return {str(key): _masked(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_masked(item) for item in value]
        case _:
            return mask_secrets(str(value))


def _mask_card(match: re.Match[str]) -> str:
    return "****" if _passes_luhn(match.group()) else match.group()


def _passes_luhn(number: str) -> bool:
    digits = [int(character) for character in reversed(number) if character.isdigit()]
    doubled = [sum(divmod(digit * 2, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
