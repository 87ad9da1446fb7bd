"""Times as a person reads them: how long ago, or the clock's time here."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


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
    """Write a span by its largest unit, rounded: a checkout of 24 h does not read as 23 h a moment later."""
    seconds = span.total_seconds()
    for size, unit in _UNITS:
        if round(seconds / size) >= 1 and seconds >= size * 0.99:
            return f"{round(seconds / size)} {unit}"
    return "0 s"


def clock_text(time: datetime | None, now: datetime) -> str:
    """Write the local time of day, with the date where it is not today's."""
    if time is None:
        return ""
    local = time.astimezone()
    today = local.date() == now.astimezone().date()
    return local.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")
