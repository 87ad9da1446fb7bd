"""Times as a person reads them: how long ago, or the clock's time here."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

_UNITS = ((86_400, 2, "d"), (3_600, 1, "h"), (60, 1, "min"), (1, 1, "s"))
"""Seconds, and from how many of them on a unit is used."""


def from_timestamp(timestamp: Timestamp) -> datetime | None:
    """Give an aware time; None where the field is not set."""
    if not (timestamp.seconds or timestamp.nanos):
        return None
    return timestamp.ToDatetime(tzinfo=UTC)


def relative_text(time: datetime | None, now: datetime) -> str:
    """Write `5 min ago` or `in 23 h`; empty where there is no time."""
    if time is None:
        return ""
    seconds = (now - time).total_seconds()
    span = span_text(timedelta(seconds=abs(seconds)))
    if span == "0 s":
        return "now"
    return f"{span} ago" if seconds > 0 else f"in {span}"


def span_text(span: timedelta) -> str:
    """Write a span by one unit, rounded: a checkout of 24 h does not read as 23 h a moment later."""
    seconds = span.total_seconds()
    for size, least, unit in _UNITS:
        if seconds >= size * (least - 0.01):
            return f"{round(seconds / size)} {unit}"
    return "0 s"


def pause_text(span: timedelta) -> str:
    """Write how long after another thing something happened; most follow within milliseconds."""
    seconds = span.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else span_text(span)


def clock_text(time: datetime | None, now: datetime) -> str:
    """Write the local time of day, with the date where it is not today's."""
    if time is None:
        return ""
    local = time.astimezone()
    today = local.date() == now.astimezone().date()
    return local.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")
