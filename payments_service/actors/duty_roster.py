"""Gives each periodic duty to exactly one of any number of processes, and to another within seconds of its death.

What a process believes is only for efficiency: a duty's writes are decided by the fence, in the database.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from payments_service.actors.duty import Duty, Shift
from payments_service.errors import PaymentsError, StorageUnavailableError
from payments_service.storage.database import Database
from payments_service.storage.lease_rows import (
    Fence,
    enlist_duties,
    list_free_duties,
    release_duties,
    renew_duties,
    take_duty,
)

STOP_SECONDS = 3.0
"""How long a round may still run when the process stops; less than is left of a lease then."""
RELEASE_SECONDS = 2.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """A dead holder's duty is taken over after at most `lease_seconds` and a look."""

    lease_seconds: float = 6.0
    renew_seconds: float = 2.0
    look_seconds: float = 1.0


class DutyRoster:
    """Runs as one task a process: takes duties that are free, renews those that it has."""

    def __init__(
        self,
        database: Database,
        duties: Sequence[Duty],
        holder: str,
        chance: Callable[[], float],
        terms: LeaseTerms | None = None,
    ) -> None:
        """Take a holder's name that no other process, and no earlier run of this one, has."""
        self._database = database
        self._duties = {duty.name: duty for duty in duties}
        self._holder = holder
        self._chance = chance
        self._terms = terms or LeaseTerms()
        self._shifts: dict[str, Shift] = {}
        self._enlisted = False
        self._renew_at = 0.0
        self._was_failing = False

    @property
    def held(self) -> Mapping[str, int]:
        """The duties that this process is at, with their epochs."""
        return {name: shift.fence.epoch for name, shift in self._shifts.items() if not shift.is_over}

    async def run(self) -> None:
        """Take and renew until cancelled; then let all duties go."""
        try:
            while True:
                await self._keep()
                await asyncio.sleep(self._terms.look_seconds * (0.75 + self._chance() / 2))
        finally:
            await self._lay_down()

    async def _keep(self) -> None:
        try:
            await self._enlist()
            if self._shifts and asyncio.get_running_loop().time() >= self._renew_at:
                await self._renew()
            await self._take_free()
        except PaymentsError as error:
            self._complain(error)
        except Exception:
            _log.exception("duties.failed")
        else:
            self._was_failing = False

    async def _enlist(self) -> None:
        if not self._enlisted:
            async with self._database.transaction() as tx:
                await enlist_duties(tx, list(self._duties))
            self._enlisted = True

    async def _renew(self) -> None:
        # The lease is counted from before it was asked for, so this process never believes in it too long.
        asked = asyncio.get_running_loop().time()
        async with self._database.at_once() as writing:
            kept = await renew_duties(writing, self._holder, self._terms.lease_seconds)
        self._renew_at = asked + self._terms.renew_seconds
        for fence in kept:
            await self._work(fence, asked)
        for name in self._shifts.keys() - {fence.duty for fence in kept}:
            await self._shifts.pop(name).end(grace=0)

    async def _take_free(self) -> None:
        async with self._database.reading() as reading:
            free = await list_free_duties(reading, list(self._duties))
        for name in free:
            await self._take(name)

    async def _take(self, name: str) -> None:
        asked = asyncio.get_running_loop().time()
        async with self._database.transaction() as tx:
            fence = await take_duty(tx, name, self._holder, self._terms.lease_seconds)
        if fence is not None:
            _log.info("duty.taken", duty=name, epoch=fence.epoch)
            await self._work(fence, asked)

    async def _work(self, fence: Fence, asked: float) -> None:
        """Begin a shift, or go on with it: a lease that ran out here may still be ours in the database."""
        deadline = asked + self._terms.lease_seconds
        shift = self._shifts.get(fence.duty)
        if shift is not None and shift.fence == fence and not shift.is_over:
            shift.extend(deadline)
            return
        if shift is not None:
            await shift.end(grace=0)
        if fence.duty in self._duties:
            self._shifts[fence.duty] = Shift(self._duties[fence.duty], fence, self._chance, deadline)

    async def _lay_down(self) -> None:
        await asyncio.gather(*(shift.end(STOP_SECONDS) for shift in self._shifts.values()))
        try:
            async with asyncio.timeout(RELEASE_SECONDS), self._database.at_once() as writing:
                await release_duties(writing, self._holder)
        except (StorageUnavailableError, TimeoutError):
            _log.warning("duties.not_released", duties=sorted(self._shifts))

    def _complain(self, error: PaymentsError) -> None:
        """Say so once for each outage."""
        if not self._was_failing:
            _log.warning("duties.failed", error=error.message)
        self._was_failing = True
