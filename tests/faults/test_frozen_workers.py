"""A worker sleeps through its lease of an event or of a duty: another goes on, and what it writes then is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from payments_service.storage.database import open_database
from payments_service.storage.lease_rows import DutyLease, DutyLostError, Fence, list_duties, require_duty

from .conftest import LONG
from .installation import Member
from .scene import Scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("frozen"),
]
FROZEN_SECONDS = 15.0
DUTY = "reconcile"


async def test_a_worker_that_sleeps_through_its_lease_is_fenced_when_it_wakes(shared_scene: Scene) -> None:
    shoppers = shared_scene.shoppers
    async with a_sleeper(shared_scene, "asleep:3") as sleeper:
        async with shoppers.selling():
            await sleeper.asleep()
            shoppers.fault_has_ended()
        await shoppers.all_is_well(fault="a worker freezes with an event claimed")
        sleeper.thaw()
        await sleeper.has_logged("Another worker has claimed the event")
        await shoppers.sell_many(4)

        await shoppers.all_is_well(fault="a worker wakes that had an event claimed")


async def test_a_worker_that_sleeps_at_its_duty_is_fenced_when_it_wakes(shared_scene: Scene) -> None:
    installation, shoppers = shared_scene.installation, shared_scene.shoppers
    usual = [installation.members[name] for name in ("worker", "worker-2")]
    await asyncio.gather(*(member.stop() for member in usual))
    async with a_sleeper(shared_scene, f"asleep-at-duty:{DUTY}") as sleeper:
        await sleeper.asleep()
        before = await lease_of(shared_scene, DUTY)
        async with shoppers.selling():
            await asyncio.gather(*(member.start() for member in usual))
            await asyncio.sleep(FROZEN_SECONDS if LONG else 0)
            after = await taken_over(shared_scene, before)
            shoppers.fault_has_ended()
        await shoppers.all_is_well(fault="a worker freezes that holds all duties")
        sleeper.thaw()
        await sleeper.has_logged('"duty.l')
        await shoppers.sell_many(4)

        assert await is_refused(shared_scene, before)
        assert (await lease_of(shared_scene, DUTY)).epoch == after.epoch
        await shoppers.all_is_well(fault="a worker wakes that held all duties")


@asynccontextmanager
async def a_sleeper(scene: Scene, doom: str) -> AsyncIterator[Member]:
    """Run a worker that stops itself, and end it at last."""
    sleeper = scene.installation.doomed_member("worker-asleep", doom)
    await sleeper.start()
    try:
        yield sleeper
    finally:
        await sleeper.kill()


async def lease_of(scene: Scene, duty: str) -> DutyLease:
    async with open_database(scene.installation.database_url, 1) as database, database.reading() as reading:
        return next(lease for lease in await list_duties(reading) if lease.name == duty)


async def taken_over(scene: Scene, before: DutyLease) -> DutyLease:
    """Wait until another has the duty."""
    async with asyncio.timeout(30):
        while True:
            lease = await lease_of(scene, before.name)
            if lease.holder not in {"", before.holder}:
                return lease
            await asyncio.sleep(0.1)


async def is_refused(scene: Scene, lease: DutyLease) -> bool:
    """Try to write as the holder of that time would."""
    async with open_database(scene.installation.database_url, 1) as database:
        try:
            async with database.transaction() as tx:
                await require_duty(tx, Fence(lease.name, lease.epoch))
        except DutyLostError:
            return True
    return False
