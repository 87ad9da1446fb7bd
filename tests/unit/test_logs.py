"""Log lines are one structured pipeline, and nothing secret passes it."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from payments_service.observability.logs import LogFormat, configure_logs, mask_secrets

SECRETS = [
    "sk_" + "test_51Hx" + "q" * 90,
    "rk_" + "live_51Hxyz",
    "whsec_4f7a9b",
    "Bearer 9f86d081.884c-7d65",
    "bearer abc+/def=",
    "4242 4242 4242 4242",
    "4000-0025-0000-3155",
    "378282246310005",
    "alice.o+shop@example.co.uk",
    "postgresql+asyncpg://payments:hunter2@db:5432/payments",
    "amqp://payments:hunt/er@hunter2@broker:5672/%2F",
    "pi_3Abc_secret_Xyz9",
]
LEAKS = re.compile(r"51Hx|4f7a9b|9f86d081|abc\+|4242|3155|3782822|alice|hunter2|Xyz9")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:  # noqa: D102
        return True


def configured(log_format: LogFormat = "", stream: io.StringIO | None = None) -> io.StringIO:
    out = stream or io.StringIO()
    configure_logs(log_format, out)
    return out


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_json_with_an_iso_utc_time_and_a_level() -> None:
    out = configured()

    structlog.get_logger("payments").info("rpc.answered", code="OK", milliseconds=1.5)

    (line,) = lines(out)
    assert (line["event"], line["level"], line["code"], line["milliseconds"]) == ("rpc.answered", "info", "OK", 1.5)
    assert datetime.fromisoformat(line["timestamp"]).tzinfo == UTC


def test_a_library_logs_through_the_same_pipeline() -> None:
    out = configured()

    logging.getLogger("dramatiq").warning("retrying %s", "m-1")

    (line,) = lines(out)
    assert (line["event"], line["logger"], line["level"]) == ("retrying m-1", "dramatiq", "warning")
    assert "timestamp" in line


def test_without_a_format_a_terminal_gets_console_lines() -> None:
    out = configured(stream=Terminal())

    structlog.get_logger("payments").warning("stripe.unreachable")

    assert "stripe.unreachable" in out.getvalue()
    with pytest.raises(json.JSONDecodeError):
        lines(out)


def test_a_format_that_is_set_wins_over_the_terminal() -> None:
    out = configured("json", Terminal())

    structlog.get_logger("payments").info("up")

    assert lines(out)[0]["event"] == "up"


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_secret_passes_wherever_it_stands(secret: str, log_format: LogFormat) -> None:
    out = configured(log_format, Terminal())
    log = structlog.get_logger("payments")

    log.info(f"text {secret}.", value=secret, nested={"list": [secret], "key": (secret, {"deep": secret})})
    logging.getLogger("uvicorn.error").warning("sent %s", secret)
    try:
        raise ValueError(secret)
    except ValueError as error:
        log.exception("broken", error=error)

    assert not LEAKS.search(out.getvalue())
    assert out.getvalue().count("***") >= 7


def test_a_card_that_is_a_number_is_masked_too() -> None:
    out = configured()

    structlog.get_logger("payments").info("seen", card=4242424242424242, position=123)

    assert (lines(out)[0]["card"], lines(out)[0]["position"]) == ("****", 123)


@pytest.mark.parametrize(
    "harmless",
    [
        "ord_0193a5b6c7d87e1fa2b3c4d5e6f70809",
        "cs_test_a1B2c3",
        "2026-11-24T23:02:12.159926Z",
        "4242424242424241",
        "0.4242424242424242",
        "risk_level",
        "/payments.v1.Payments/GetOrder",
    ],
)
def test_what_is_no_secret_stays_readable(harmless: str) -> None:
    assert mask_secrets(harmless) == harmless


@given(st.text(alphabet="ab1 -@.:/_skrwhec", max_size=60), st.sampled_from(SECRETS))
def test_a_secret_between_blanks_is_found_in_any_text(text: str, secret: str) -> None:
    assert not LEAKS.search(mask_secrets(f"{text} | {secret} | {text}"))


def test_a_debug_line_is_not_written() -> None:
    out = configured()

    structlog.get_logger("payments").debug("detail")
    logging.getLogger("uvicorn.access").info("GET /")

    assert out.getvalue() == ""
