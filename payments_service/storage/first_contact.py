"""Waits, when a process starts, for a database that is away: the two may be restarted at the same moment.

What waiting cannot mend is raised at once: a login that is refused, a database that is not there.
"""

import asyncio

import structlog
from sqlalchemy import literal, select

from payments_service.errors import StorageUnavailableError
from payments_service.storage.database import Database
from payments_service.storage.outages import is_unknown_here

PAUSE_SECONDS = 0.25
_log = structlog.get_logger(__name__)


async def await_database(database: Database, seconds: float) -> None:
    """Return when the database answers; raises StorageUnavailableError where it does not within this time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    was_told = False
    while True:
        try:
            async with database.reading() as reading:
                await reading.execute(select(literal(1)))
        except StorageUnavailableError as error:
            if is_unknown_here(error.__cause__) or loop.time() + PAUSE_SECONDS > end:
                raise
            if not was_told:
                _log.warning("database.awaited", error=error.message, at_most_seconds=seconds)
            was_told = True
        else:
            return
        await asyncio.sleep(PAUSE_SECONDS)
