"""Holds an attempt's claim while a plug-in works, by a short lease that is renewed: a dead process's is soon free.

The plug-in is broken off before the claim can be another's.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from payments_service.errors import StorageUnavailableError
from payments_service.storage.database import Database
from payments_service.storage.fulfillment_rows import FulfillmentRow, renew_claim

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def holding_claim(
    database: Database, claimed: FulfillmentRow, lease_seconds: float, most_seconds: float
) -> AsyncIterator[None]:
    """Renew the lease until the block ends; raises TimeoutError where it takes too long or the lease runs out."""
    now = asyncio.get_running_loop().time()
    async with asyncio.timeout_at(now + min(lease_seconds, most_seconds)) as limit:
        renewing = asyncio.create_task(_renew(database, claimed, lease_seconds, limit, now + most_seconds))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])


async def _renew(
    database: Database, claimed: FulfillmentRow, lease_seconds: float, limit: asyncio.Timeout, end: float
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(lease_seconds / 4)
        # The lease is counted from before it was asked for, so this process never believes in it too long.
        asked = loop.time()
        try:
            async with database.at_once() as writing:
                held = await renew_claim(writing, claimed.fulfillment_id, claimed.claim_epoch, lease_seconds)
        except StorageUnavailableError as error:
            _log.warning("fulfillment.not_renewed", fulfillment_id=claimed.fulfillment_id, error=error.message)
            continue
        if not held:
            return
        limit.reschedule(min(asked + lease_seconds, end))
