"""Counts what the event log, its streams and the database under them do in this process."""

from prometheus_client import Counter

from payments_service.observability.metric_registry import REGISTRY

_sequenced = Counter(
    "payments_log_sequenced_events", "Events that this process has put into the log.", registry=REGISTRY
)
_sent = Counter(
    "payments_stream_events_sent", "Events handed to callers, by kind of call.", ["kind"], registry=REGISTRY
)
_loop_failures = Counter(
    "payments_loop_failures",
    "Failed steps of what runs in the background; each is tried again.",
    ["loop"],
    registry=REGISTRY,
)
_discontinued = Counter(
    "payments_log_discontinued", "How often the log did not continue what was read from it.", registry=REGISTRY
)
_outages = Counter(
    "payments_database_failures", "Uses of the database that failed because it was away or busy.", registry=REGISTRY
)
_streamed, _consumed = _sent.labels("stream"), _sent.labels("consume")
LOOPS = ("event_log.sequencer", "event_log.tailer")
for _loop in LOOPS:
    _loop_failures.labels(_loop)


def note_sequenced(events: int) -> None:
    """Count events that have got their positions."""
    _sequenced.inc(events)


def note_streamed(events: int) -> None:
    """Count events of a batch of StreamFulfillments."""
    _streamed.inc(events)


def note_consumed(events: int) -> None:
    """Count events handed to a member of a subscriber."""
    _consumed.inc(events)


def note_loop_failure(loop: str) -> None:
    """Count a step that failed."""
    _loop_failures.labels(loop).inc()


def note_discontinued() -> None:
    """Count a log that turned out to be another one."""
    _discontinued.inc()


def note_database_failure() -> None:
    """Count a use of the database that it did not allow."""
    _outages.inc()
