"""A periodic duty, and the shift of this process at it: round after round for as long as the lease is known to hold."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from payments_service.errors import PaymentsError
from payments_service.observability.work_metrics import note_round
from payments_service.storage.lease_rows import DutyLostError, Fence

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that one process at a time does again and again."""

    name: str
    interval: float
    """Seconds from the end of a round to the start of the next."""
    work: Callable[[Fence], Awaitable[object]]
    """One round; what it writes goes in transactions that begin with `require_duty` of the fence."""


class Shift:
    """Rounds of one duty under one fence; they are cut off at the moment at which the lease may be another's."""

    def __init__(self, duty: Duty, fence: Fence, chance: Callable[[], float], deadline: float) -> None:
        """Begin at once; the deadline is by the event loop's clock."""
        self.fence = fence
        self._duty = duty
        self._chance = chance
        self._ending = asyncio.Event()
        self._task = asyncio.create_task(self._rounds())
        self._alarm = asyncio.get_running_loop().call_at(deadline, self._cut_off)

    @property
    def is_over(self) -> bool:
        """Whether no round will follow."""
        return self._task.done()

    def extend(self, deadline: float) -> None:
        """Go on until then: the lease was renewed."""
        self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_at(deadline, self._cut_off)

    async def end(self, grace: float) -> None:
        """Let the round that runs come to its end, within the time that there is."""
        self._ending.set()
        await asyncio.wait([self._task], timeout=grace)
        self._alarm.cancel()
        self._task.cancel()
        await asyncio.wait([self._task])

    def _cut_off(self) -> None:
        if not self._task.done():
            _log.warning("duty.lease_ran_out", duty=self._duty.name, epoch=self.fence.epoch)
            self._task.cancel()

    async def _rounds(self) -> None:
        while not self._ending.is_set():
            try:
                await self._duty.work(self.fence)
                note_round(self._duty.name, "done")
            except DutyLostError as error:
                note_round(self._duty.name, "lost")
                _log.warning("duty.lost", duty=self._duty.name, epoch=self.fence.epoch, error=error.message)
                return
            except PaymentsError as error:
                note_round(self._duty.name, "failed")
                _log.warning("duty.failed", duty=self._duty.name, error=error.message)
            except Exception:
                note_round(self._duty.name, "failed")
                _log.exception("duty.failed", duty=self._duty.name)
            await self._rest()

    async def _rest(self) -> None:
        """Wait for the next round, for a time that varies a little, so that duties spread."""
        try:
            async with asyncio.timeout(self._duty.interval * (0.75 + self._chance() / 2)):
                await self._ending.wait()
        except TimeoutError:
            return
