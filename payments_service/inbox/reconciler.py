"""Finds the events that no webhook has brought: Stripe's own list, in bounded windows, oldest first, into the inbox.

The mark moves only when a window is done, and each window reaches back a little, for events that are listed late.
Marks are by Stripe's clock, as its events are: where ours is wrong or jumps, nothing falls between two windows.
A page is held in memory, never the backlog.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from payments_service.errors import FieldViolation, InvalidRequestError
from payments_service.inbox.event_envelope import InvalidEventError, read_event
from payments_service.inbox.waker import Waker
from payments_service.observability.work_metrics import note_reconciled
from payments_service.storage.database import Database
from payments_service.storage.lease_rows import Fence, require_duty
from payments_service.storage.receipt_rows import NewStripeEvent, store_receipts
from payments_service.storage.reconcile_rows import known_event_ids, read_mark, write_mark
from payments_service.stripe_gateway.client import EventPage, StripeGateway

OVERLAP = timedelta(minutes=5)
WINDOW = timedelta(hours=1)
LISTED_FOR = timedelta(days=30)
"""How far back Stripe lists events."""
CALL_SECONDS = 15.0
PAUSE_SECONDS = 0.1
"""Between two pages: 10 a second, where Stripe allows 25 in test mode."""
_log = structlog.get_logger(__name__)
OUR_OWN = ""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How many events were listed, how many of them were missing here, and what time it is at Stripe."""

    listed: int = 0
    missed: int = 0
    told_time: datetime | None = None

    def __add__(self, other: "Reconciled") -> "Reconciled":
        """Sum two readings; what happened after the first one was told may be missing in the other."""
        told_time = self.told_time or other.told_time
        return Reconciled(self.listed + other.listed, self.missed + other.missed, told_time)


class Reconciler:
    """Reads the lists of our account and of every connected one that an organization sells by."""

    def __init__(
        self,
        database: Database,
        gateway: StripeGateway,
        waker: Waker,
        accounts: Callable[[], Sequence[str]],
        clock: Callable[[], datetime],
    ) -> None:
        """Take whom to wake for what was missing."""
        self._database = database
        self._gateway = gateway
        self._waker = waker
        self._accounts = accounts
        self._clock = clock

    async def catch_up(self, fence: Fence) -> Reconciled:
        """Go on from where each account's list was read to, until now; the fence guards the marks."""
        total = Reconciled()
        for account in (OUR_OWN, *self._accounts()):
            total += await self._catch_up(account, fence)
        if total.missed:
            _log.warning("reconciler.found_missing", listed=total.listed, missed=total.missed)
        return total

    async def reconcile(self, start: datetime | None, end: datetime | None) -> Reconciled:
        """Read a time again as an operator asks; raises InvalidRequestError. The marks stay where they are."""
        now = self._clock()
        total = Reconciled()
        for account in (OUR_OWN, *self._accounts()):
            since = start or await self._mark(account, now)
            _check(since, end or now, now)
            for window in _windows(since, end or now):
                total += await self._read(account, *window)
        return total

    async def _catch_up(self, account: str, fence: Fence) -> Reconciled:
        """Read window after window up to Stripe's present time, whatever ours is, and move the mark after each."""
        now = self._clock()
        start = max(await self._mark(account, now), now - LISTED_FOR + OVERLAP)
        total = Reconciled()
        while True:
            end = start + WINDOW
            read = await self._read(account, start - OVERLAP, end)
            total += read
            told = read.told_time or now
            if told < start:
                # Our clock was ahead of Stripe's when the mark was made.
                start = told
                continue
            async with self._database.transaction() as tx:
                await require_duty(tx, fence)
                await write_mark(tx, account, min(end, told), now)
            if told < end:
                return total
            start = end

    async def _mark(self, account: str, now: datetime) -> datetime:
        async with self._database.reading() as reading:
            return await read_mark(reading, account) or now - OVERLAP

    async def _read(self, account: str, start: datetime, end: datetime) -> Reconciled:
        total = Reconciled()
        async for page in self._pages(account, start, end):
            total += Reconciled(len(page.events), await self._store(account, page.events), page.told_time)
        return total

    async def _pages(self, account: str, start: datetime, end: datetime) -> AsyncIterator[EventPage]:
        after = ""
        while True:
            page = await self._gateway.list_events(
                since=start, until=end, starting_after=after, account=account, budget=CALL_SECONDS
            )
            yield page
            if not page.has_more:
                return
            after = page.events[-1]["id"]
            await asyncio.sleep(PAUSE_SECONDS)

    async def _store(self, account: str, page: list[dict[str, Any]]) -> int:
        """Store what is missing of a page, in one transaction; a known event is no delivery."""
        events = list(self._events(account, page))
        async with self._database.reading() as reading:
            known = await known_event_ids(reading, [event.stripe_event_id for event in events])
        missing = [event for event in events if event.stripe_event_id not in known]
        if missing:
            await store_receipts(self._database, missing)
        note_reconciled(len(page), len(missing))
        for event in missing:
            self._waker.wake_event(event.stripe_event_id)
        return len(missing)

    def _events(self, account: str, page: list[dict[str, Any]]) -> list[NewStripeEvent]:
        events = []
        for listed in page:
            try:
                event = read_event(json.dumps(listed, separators=(",", ":")).encode(), self._clock(), "reconciler")
            except InvalidEventError as error:
                _log.warning("reconciler.event_not_read", stripe_event_id=listed.get("id"), error=error.message)
                continue
            events.append(replace(event, stripe_account=event.stripe_account or account))
        return events


def _windows(start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Cut a time into windows of whole seconds, as Stripe counts them, that share none."""
    start = start.replace(microsecond=0)
    end = end.replace(microsecond=0) + timedelta(seconds=1)
    windows = []
    while start < end:
        windows.append((start, min(start + WINDOW, end)))
        start = windows[-1][1]
    return windows


def _check(start: datetime, end: datetime, now: datetime) -> None:
    if start > end:
        raise InvalidRequestError([FieldViolation("start_time", "is after end_time")])
    if now - start > LISTED_FOR:
        raise InvalidRequestError([FieldViolation("start_time", "is over 30 days ago: Stripe lists events no longer")])
