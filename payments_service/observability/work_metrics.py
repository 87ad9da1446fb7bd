"""Counts what the actors and the duties do: events, fulfillments, wake-ups, rounds and what they have found."""

from datetime import timedelta
from time import time

from prometheus_client import Counter, Gauge, Histogram

from payments_service.contract.pb.payments.v1.purchase_pb2 import Purchase
from payments_service.observability.metric_registry import CALL_SECONDS, LONG_SECONDS, REGISTRY

_BUILT_IN = frozenset(field.name for field in Purchase.DESCRIPTOR.oneofs_by_name["kind"].fields)
_events = Counter(
    "payments_events_settled", "Verdicts on Stripe's events.", ["verdict", "event_type"], registry=REGISTRY
)
_attempts = Counter(
    "payments_event_attempts", "Attempts to apply an event, by how they ended.", ["outcome"], registry=REGISTRY
)
_apply_seconds = Histogram(
    "payments_event_apply_seconds",
    "How long attempts to apply an event took, what Stripe was asked included.",
    buckets=CALL_SECONDS,
    registry=REGISTRY,
)
_event_age = Histogram(
    "payments_event_age_at_apply_seconds",
    "From an event's making at Stripe, in whole seconds there, to its being applied here.",
    buckets=LONG_SECONDS,
    registry=REGISTRY,
)
_inbox_wait = Histogram(
    "payments_event_wait_seconds", "From an event's receipt to its verdict.", buckets=LONG_SECONDS, registry=REGISTRY
)
_fulfillments = Counter(
    "payments_fulfillment_outcomes",
    "How attempts at fulfillments ended, and what owners reported.",
    ["purchase_type", "outcome"],
    registry=REGISTRY,
)
_fulfillment_seconds = Histogram(
    "payments_fulfillment_attempt_seconds",
    "How long attempts at fulfillments took.",
    ["purchase_type"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0),
    registry=REGISTRY,
)
_wake_ups = Counter(
    "payments_broker_messages",
    "Wake-ups for the broker: sent, or dropped and left to the sweep.",
    ["outcome"],
    registry=REGISTRY,
)
_forwards = Counter(
    "payments_forwards", "Deliveries of events that are not ours, by how they ended.", ["outcome"], registry=REGISTRY
)
_rounds = Counter(
    "payments_duty_rounds", "Rounds of a duty, by how they ended.", ["duty", "outcome"], registry=REGISTRY
)
_last_round = Gauge(
    "payments_duty_last_success_timestamp_seconds",
    "When this process last ended a round of a duty well.",
    ["duty"],
    registry=REGISTRY,
)
_swept = Counter(
    "payments_sweep_rows", "Rows that no wake-up had brought, found by a sweep.", ["sweep"], registry=REGISTRY
)
_reconciled = Counter(
    "payments_reconciler_events",
    "Events in Stripe's list: `listed` all of them, `missing` those that no webhook had brought.",
    ["outcome"],
    registry=REGISTRY,
)

for _outcome in ("settled", "retried", "failed", "lost", "unavailable"):
    _attempts.labels(_outcome)
for _type in _BUILT_IN:
    for _outcome in ("FULFILLED", "AWAITING_OWNER", "RETRIED", "FAILED", "REVOKED"):
        _fulfillments.labels(_type, _outcome)
_sent, _dropped = _wake_ups.labels("sent"), _wake_ups.labels("dropped")
for _outcome in ("delivered", "retried", "given_up"):
    _forwards.labels(_outcome)
for _outcome in ("listed", "missing"):
    _reconciled.labels(_outcome)


def note_verdict(verdict: str, event_type: str, age: timedelta, wait: timedelta) -> None:
    """Count a verdict; the type is one of a few."""
    _events.labels(verdict, event_type).inc()
    _inbox_wait.observe(max(wait.total_seconds(), 0.0))
    if verdict == "APPLIED":
        _event_age.observe(max(age.total_seconds(), 0.0))


def note_event_attempt(outcome: str, seconds: float) -> None:
    """Count an attempt: settled, retried, failed, lost to another claim, or unavailable with the database."""
    _attempts.labels(outcome).inc()
    _apply_seconds.observe(seconds)


def note_outcome(purchase_type: str, outcome: str, seconds: float | None = None) -> None:
    """Count how a fulfillment's attempt ended, or what its owner said, which takes no time of ours."""
    known = purchase_type if purchase_type in _BUILT_IN else "custom"
    _fulfillments.labels(known, outcome).inc()
    if seconds is not None:
        _fulfillment_seconds.labels(known).observe(seconds)


def note_wake_up(*, sent: bool) -> None:
    """Count a message for the broker."""
    (_sent if sent else _dropped).inc()


def note_forward(outcome: str) -> None:
    """Count a try at passing an event on."""
    _forwards.labels(outcome).inc()


def note_round(duty: str, outcome: str) -> None:
    """Count a round: done, failed, or lost to another holder."""
    name = duty_label(duty)
    _rounds.labels(name, "failed")
    _rounds.labels(name, outcome).inc()
    if outcome == "done":
        _last_round.labels(name).set(time())


def note_swept(sweep: str, rows: int) -> None:
    """Count what a sweep has found."""
    _swept.labels(sweep).inc(rows)


def note_reconciled(listed: int, missing: int) -> None:
    """Count a page of Stripe's list."""
    _reconciled.labels("listed").inc(listed)
    _reconciled.labels("missing").inc(missing)


def duty_label(duty: str) -> str:
    """Name a duty; those of the forwarding targets, which are as many as the settings name, share one name."""
    return "forward" if duty.startswith("forward_") else duty
