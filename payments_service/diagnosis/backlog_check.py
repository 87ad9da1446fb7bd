"""Judges what waits, has failed, is parked, and whether anybody is at work: with the command that shows more."""

from collections.abc import Iterator
from datetime import timedelta

from payments_service.diagnosis.finding import Finding, Reporter
from payments_service.errors import PaymentsError
from payments_service.orders.states import FulfillmentState, StripeEventState
from payments_service.settings import Settings
from payments_service.storage.backlog_rows import Backlog, read_backlog
from payments_service.storage.database import open_for_reading
from payments_service.storage.schema import newest_revision, read_revision

OLD_EVENT = timedelta(minutes=1)
OLD_OUTBOX = timedelta(seconds=30)
_report = Reporter("backlog")


async def check_backlog(settings: Settings) -> list[Finding]:
    """Read and judge it; where the database cannot be read, its own check says why."""
    try:
        async with open_for_reading(settings.database_url) as database, database.reading() as reading:
            if await read_revision(reading) != newest_revision():
                return []
            backlog = await read_backlog(reading, StripeEventState.PENDING)
    except PaymentsError:
        return [_report.warning("It could not be read.", "See what is said of the database.")]
    return list(judge_backlog(backlog, settings))


def judge_backlog(backlog: Backlog, settings: Settings) -> Iterator[Finding]:
    """Judge all of it; nothing here is a fault of the installation."""
    warnings = [*_duties(backlog, settings), *_waiting(backlog), *_failed(backlog)]
    yield from warnings or [_report.ok("Nothing waits for long, and nothing has failed.")]


def _duties(backlog: Backlog, settings: Settings) -> Iterator[Finding]:
    held = [duty for duty in backlog.duties if duty.expire_time and duty.expire_time > backlog.now]
    command = "`payments up`" if settings.embedded else "`payments worker`"
    if not held:
        yield _report.warning("No worker is at work: no duty is held.", f"Start {command}, or look at its log.")
    elif len(held) < len(backlog.duties):
        idle = ", ".join(duty.name for duty in backlog.duties if duty not in held)
        remedy = "They are taken within seconds where a worker runs that has them; look at its log."
        yield _report.warning(f"Nobody holds these duties: {idle}.", remedy)
    late = timedelta(seconds=3 * settings.reconcile_interval + 60)
    if held and backlog.reconcile_time and backlog.now - backlog.reconcile_time > late:
        age = _span(backlog.now - backlog.reconcile_time)
        remedy = "Look for `reconcile` in the worker's log; webhooks that never came wait for it."
        yield _report.warning(f"Stripe's list of events was last read {age} ago.", remedy)


def _waiting(backlog: Backlog) -> Iterator[Finding]:
    oldest = backlog.events.oldest_pending_age
    if oldest is not None and oldest > OLD_EVENT:
        count = backlog.events.by_state.get(StripeEventState.PENDING, 0)
        message = f"{count} of Stripe's events wait, the oldest for {_span(oldest)}."
        yield _report.warning(message, "See `payments events --state pending`; are workers running, and enough?")
    if backlog.outbox_age is not None and backlog.outbox_age > OLD_OUTBOX:
        message = f"An event waits for {_span(backlog.outbox_age)} to be put into the log: subscribers learn late."
        yield _report.warning(message, "Any process of the service does it; look for a long transaction.")


def _failed(backlog: Backlog) -> Iterator[Finding]:
    if events := backlog.events.by_state.get(StripeEventState.FAILED, 0):
        yield _report.warning(
            f"{events} of Stripe's events have failed.",
            "See `payments events --state failed`; when the cause is mended, `payments replay --state failed`.",
        )
    if fulfillments := backlog.fulfillments.get(FulfillmentState.FAILED, 0):
        yield _report.warning(
            f"{fulfillments} fulfillments have failed: somebody has paid and has nothing.",
            "See `payments orders --fulfillment failed`; `payments explain` says why, `payments retry` tries again.",
        )
    for subscriber, count in backlog.parked.items():
        yield _report.warning(
            f"{count} events are parked for the subscriber {subscriber}.",
            "See Operations.ListParkedEvents; when the subscriber can take them, ReplayParkedEvents.",
        )


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
