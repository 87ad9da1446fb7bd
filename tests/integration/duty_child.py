"""A process that wants one duty and writes under its lease as fast as it can; a test kills it, or stops it for a while.

Run as `python -m integration.duty_child URL HOLDER`; it says `ready`, and `at work` for each epoch that it has.
"""

import asyncio
import random
import sys

from payments_service.actors.duty import Duty
from payments_service.actors.duty_roster import DutyRoster, LeaseTerms
from payments_service.storage.database import Database, open_database
from payments_service.storage.lease_rows import Fence, require_duty

from .duty_history import DutyWrite, note_write

DUTY = "count"
TERMS = LeaseTerms(lease_seconds=1.5, renew_seconds=0.5, look_seconds=0.25)


class Counter:
    """The duty's work."""

    def __init__(self, database: Database, holder: str) -> None:
        self._database = database
        self._holder = holder
        self._epoch = 0

    async def count(self, fence: Fence) -> None:
        """Write once, slowly enough that it is mostly within its transaction."""
        async with self._database.transaction() as tx:
            await require_duty(tx, fence)
            await asyncio.sleep(0.02)
            await note_write(tx, DutyWrite(fence.duty, fence.epoch, self._holder))
        if fence.epoch != self._epoch:
            self._epoch = fence.epoch
            say("at work")


def say(what: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def work(url: str, holder: str) -> None:
    """Work until killed."""
    async with open_database(url) as database:
        say("ready")
        duty = Duty(DUTY, 0.0, Counter(database, holder).count)
        await DutyRoster(database, [duty], holder, random.random, TERMS).run()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
