"""The leases of duties in the database: whatever holders do, stall at or die of, no two are ever both accepted."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from payments_service.storage.database import Database, open_database
from payments_service.storage.lease_rows import (
    DutyLostError,
    Fence,
    enlist_duties,
    list_duties,
    list_free_duties,
    release_duties,
    renew_duties,
    require_duty,
    take_duty,
)
from payments_service.storage.schema import migrate
from payments_service.storage.tables import duty_leases

from .duty_history import DutyWrite, find_faults, note_write, read_writes

LONG = 60.0
PATIENCE = 10.0
HOLDERS = ("ann", "bob", "cid")
ACTIONS = ("take", "renew", "release", "write", "run_out", "die")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        await migrate(opened)
        yield opened


class Scene:
    """One duty, and processes that want it, each with what it believes."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.duty = f"duty_{uuid4()}"
        self.fences: dict[str, Fence] = {}
        self.newest = 0

    async def enlist(self) -> None:
        """Make the lease."""
        async with self.database.transaction() as tx:
            await enlist_duties(tx, [self.duty])

    async def do(self, holder: str, action: str) -> None:
        """Let a process do something."""
        match action:
            case "take":
                await self.take(holder)
            case "renew":
                await self.renew(holder)
            case "release":
                async with self.database.at_once() as writing:
                    await release_duties(writing, holder)
            case "write" if holder in self.fences:
                fence = self.fences[holder]
                assert await self.write(holder) == (fence.epoch == self.newest)
            case "run_out":
                await self.run_out()
            case "die":
                self.fences.pop(holder, None)
            case _:
                pass

    async def take(self, holder: str, seconds: float = LONG) -> Fence | None:
        """Try to take the duty."""
        async with self.database.transaction() as tx:
            fence = await take_duty(tx, self.duty, holder, seconds)
        if fence:
            assert fence.epoch == self.newest + 1
            self.newest, self.fences[holder] = fence.epoch, fence
        return fence

    async def renew(self, holder: str) -> set[Fence]:
        """Hold on to what the holder has, of this duty alone."""
        async with self.database.at_once() as writing:
            return {fence for fence in await renew_duties(writing, holder, LONG) if fence.duty == self.duty}

    async def write(self, holder: str, pause: float = 0.0) -> bool:
        """Write under the fence that the holder believes in, with a pause within; False where it is refused."""
        fence = self.fences[holder]
        try:
            async with self.database.transaction() as tx:
                await require_duty(tx, fence)
                await asyncio.sleep(pause)
                await note_write(tx, DutyWrite(fence.duty, fence.epoch, holder))
        except DutyLostError:
            return False
        return True

    async def run_out(self) -> None:
        """Let the lease's time pass."""
        ours = (duty_leases.c.name == self.duty, duty_leases.c.expire_time.is_not(None))
        passed = datetime.now(UTC) - timedelta(seconds=1)
        async with self.database.transaction() as tx:
            await tx.execute(update(duty_leases).where(*ours).values(expire_time=passed))


async def enlisted(database: Database) -> Scene:
    scene = Scene(database)
    await scene.enlist()
    return scene


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(played=st.lists(st.tuples(st.sampled_from(HOLDERS), st.sampled_from(ACTIONS)), max_size=40))
def test_a_write_is_taken_from_the_newest_holder_alone(played: list[tuple[str, str]], database_url: str) -> None:
    asyncio.run(_play(played, database_url))


async def _play(played: list[tuple[str, str]], database_url: str) -> None:
    async with open_database(database_url, pool_size=1) as database:
        if database.dialect == "sqlite":
            await migrate(database)
        scene = await enlisted(database)
        for holder, action in played:
            await scene.do(holder, action)
        assert find_faults(await read_writes(database)) == []


async def test_holders_that_stall_within_their_writes_are_never_accepted_beside_others(database: Database) -> None:
    scene = await enlisted(database)
    chance = random.Random(7)  # noqa: S311
    ends = asyncio.get_running_loop().time() + 3.0

    async def live(holder: str) -> None:
        while asyncio.get_running_loop().time() < ends:
            if holder not in scene.fences or not await scene.write(holder, pause=chance.choice((0.0, 0.0, 0.06))):
                scene.fences.pop(holder, None)
                await scene.take(holder, seconds=0.03)
            await asyncio.sleep(chance.random() * 0.02)

    await asyncio.gather(*(live(holder) for holder in HOLDERS))

    writes = await read_writes(database)
    assert find_faults(writes) == []
    assert len({write.holder for write in writes}) == len(HOLDERS)
    assert len({write.epoch for write in writes}) > 10


async def test_nobody_takes_a_duty_from_a_holder_in_the_middle_of_a_write(database: Database) -> None:
    scene = await enlisted(database)
    assert await scene.take("ann")
    begun = asyncio.Event()

    async def write_long() -> bool:
        async with scene.database.transaction() as tx:
            await require_duty(tx, scene.fences["ann"])
            begun.set()
            await asyncio.sleep(0.3)
            await note_write(tx, DutyWrite(scene.duty, 1, "ann"))
        return True

    await scene.run_out()
    writing = asyncio.create_task(write_long())
    await begun.wait()
    taken = await scene.take("bob")
    if database.dialect == "postgresql":
        assert taken is None
        assert await scene.renew("ann") == {Fence(scene.duty, 1)}
    assert await writing
    assert find_faults([*await read_writes(database), *([DutyWrite(scene.duty, 2, "bob")] if taken else [])]) == []


async def test_of_many_at_once_one_takes_a_duty(database: Database) -> None:
    scene = await enlisted(database)

    taken = await asyncio.gather(*(scene.take(f"holder_{number}") for number in range(8)))

    assert [fence for fence in taken if fence] == [Fence(scene.duty, 1)]


async def test_a_lease_is_free_when_it_runs_out_and_as_soon_as_it_is_released(database: Database) -> None:
    scene = await enlisted(database)

    async def free() -> list[str]:
        async with database.reading() as reading:
            return await list_free_duties(reading, [scene.duty])

    at_first = await free()
    await scene.take("ann")
    held = await free()
    await scene.run_out()
    ran_out = await free()
    renewed = await scene.renew("ann"), await free()
    await scene.do("ann", "release")

    assert (at_first, held, ran_out, await free()) == ([scene.duty], [], [scene.duty], [scene.duty])
    assert renewed == ({Fence(scene.duty, 1)}, [])


async def test_who_holds_what_can_be_read(database: Database) -> None:
    scene = await enlisted(database)
    await scene.take("ann", seconds=30)

    async with database.reading() as reading:
        (lease,) = await list_duties(reading)

    assert (lease.name, lease.holder, lease.epoch) == (scene.duty, "ann", 1)
    assert lease.expire_time is not None
    assert 25 < (lease.expire_time - datetime.now(UTC)).total_seconds() <= 30


def test_the_judge_sees_an_old_holder_and_a_shared_epoch() -> None:
    old_holder = [DutyWrite("sweep", 1, "ann"), DutyWrite("sweep", 2, "bob"), DutyWrite("sweep", 1, "ann")]
    shared_epoch = [DutyWrite("sweep", 1, "ann"), DutyWrite("sweep", 1, "bob")]

    assert len(find_faults(old_holder)) == 1
    assert len(find_faults(shared_epoch)) == 1
    assert find_faults(old_holder[:2]) == []
