"""Counts what is asked of this process, by gRPC and by Stripe's webhooks, and what it asks of Stripe."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from time import perf_counter

from prometheus_client import Counter, Histogram

from payments_service.errors import StripeError
from payments_service.observability.metric_registry import CALL_SECONDS, REGISTRY

_CALL = ["grpc_type", "grpc_service", "grpc_method"]
_started = Counter("grpc_server_started", "Calls that began.", _CALL, registry=REGISTRY)
_handled = Counter(
    "grpc_server_handled", "Calls that ended, by their status.", [*_CALL, "grpc_code"], registry=REGISTRY
)
_handling = Histogram(
    "grpc_server_handling_seconds", "How long calls took.", _CALL, buckets=CALL_SECONDS, registry=REGISTRY
)
_refusals = Counter(
    "payments_rpc_refusals", "Calls that ended with an error, by its reason.", ["reason"], registry=REGISTRY
)
_webhooks = Counter(
    "payments_webhook_requests",
    "Deliveries of Stripe, by our answer; `none` where the sender left before it.",
    ["code"],
    registry=REGISTRY,
)
_webhook_seconds = Histogram(
    "payments_webhook_duration_seconds",
    "From a delivery's first byte to its answer.",
    buckets=CALL_SECONDS,
    registry=REGISTRY,
)
_redeliveries = Counter(
    "payments_webhook_redeliveries", "Deliveries of events that had come before.", registry=REGISTRY
)
_batch_events = Histogram(
    "payments_webhook_batch_events",
    "Events that shared one commit.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    registry=REGISTRY,
)
_stripe_calls = Counter(
    "payments_stripe_calls", "Calls to Stripe, by what came of them.", ["operation", "outcome"], registry=REGISTRY
)
_stripe_seconds = Histogram(
    "payments_stripe_call_seconds",
    "How long calls to Stripe took, with their retries.",
    ["operation"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0),
    registry=REGISTRY,
)

WATCHED_CODES = ("200", "400", "408", "413", "500", "503", "none")
"""Those that are there from the start, so that the first one is seen as an increase."""
WATCHED_REASONS = ("INTERNAL", "STORAGE_UNAVAILABLE", "SLOW_CONSUMER", "CURSOR_EXPIRED", "CURSOR_DIVERGED")
STRIPE_OUTCOMES = ("ok", "rejected", "rate_limited", "unavailable", "outcome_unknown", "misconfigured")
_answers = {code: _webhooks.labels(code) for code in WATCHED_CODES}
for _reason in WATCHED_REASONS:
    _refusals.labels(_reason)

_GO_NAMES = {"OK": "OK", "CANCELLED": "Canceled"}
"""Dashboards for gRPC's servers look for the names that Go gives to statuses."""


class CallMeter:
    """Counts one method's calls."""

    def __init__(self, method: str, grpc_type: str) -> None:
        """Take `package.Service/Method`; its usual ends are there from the start."""
        service, _, name = method.rpartition("/")
        self._labels = (grpc_type, service, name)
        self._started = _started.labels(*self._labels)
        self._ok = _handled.labels(*self._labels, "OK")
        _handled.labels(*self._labels, "Internal")

    def began(self) -> None:
        """Count a call."""
        self._started.inc()

    def ended(self, code: str, reason: str, seconds: float) -> None:
        """Count its end, by the name that gRPC has for its status."""
        if code == "OK":
            self._ok.inc()
        else:
            _handled.labels(*self._labels, _GO_NAMES.get(code) or code.title().replace("_", "")).inc()
        if reason:
            _refusals.labels(reason).inc()
        _handling.labels(*self._labels).observe(seconds)


def note_webhook(status: HTTPStatus | None, begun: float) -> None:
    """Count a delivery that was answered, or broken off."""
    code = "none" if status is None else str(int(status))
    (_answers.get(code) or _webhooks.labels(code)).inc()
    _webhook_seconds.observe(perf_counter() - begun)


def note_redelivery() -> None:
    """Count a delivery of an event that is here already."""
    _redeliveries.inc()


def note_batch(events: int) -> None:
    """Count a commit of the inbox."""
    _batch_events.observe(events)


@contextmanager
def stripe_call(operation: str) -> Iterator[None]:
    """Count and time one call to Stripe."""
    began, outcome = perf_counter(), "ok"
    for each in STRIPE_OUTCOMES:
        _stripe_calls.labels(operation, each)
    try:
        yield
    except StripeError as error:
        outcome = error.reason.lower().removeprefix("stripe_")
        raise
    except BaseException:
        outcome = "broken_off"
        raise
    finally:
        _stripe_calls.labels(operation, outcome).inc()
        _stripe_seconds.labels(operation).observe(perf_counter() - began)
