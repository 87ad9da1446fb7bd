"""One fault after another on the service as separate processes: each sale is fulfilled once, in order, and told."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from .conftest import KILLS, LONG
from .scene import Scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.faults,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("faults"),
]
KINDS = ("serve", "bridge", "worker", "worker-2")
DOOMS = ("after-commit:2", "before-commit:5", "after-commit:9")
FROZEN_SECONDS = 15.0 if LONG else 4.0
FAILED = 5
IS_STORED = "SELECT 1 FROM stripe_events WHERE stripe_event_id = $1"
USE_UP = "UPDATE stripe_events SET attempts = 10 WHERE stripe_event_id = $1"
END_LEASE = "UPDATE stripe_events SET lease_expire_time = now() WHERE stripe_event_id = $1"
OUTCOME = "SELECT state, attempts FROM stripe_events WHERE stripe_event_id = $1"
PRODUCT = {"type": "product.created", "object": {"id": "prod_poison"}}
LEASE = 20.0
"""What was in work when its process died is begun again after its lease of 15 s, and a look."""


@asynccontextmanager
async def old_snapshot(url: str) -> AsyncIterator[None]:
    """Keep a reading transaction open, as a forgotten console does."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""), server_settings={"application_name": "console"})
    try:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetch("SELECT count(*) FROM stripe_events")
            yield
    finally:
        await connection.close()


def family_of(pid: int) -> list[int]:
    """Name a process and its children."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


async def test_no_sale_is_lost_while_every_kind_of_process_is_killed(scene: Scene) -> None:
    members = scene.installation.members
    async with scene.shoppers.selling():
        for number in range(KILLS):
            name = KINDS[number] if number < len(KINDS) else random.choice(KINDS)  # noqa: S311
            await members[name].kill()
            await members[name].start()

    await scene.shoppers.all_is_well(2 * LEASE)


async def test_no_sale_is_lost_between_a_commit_and_what_follows_it(scene: Scene) -> None:
    doomed = [scene.installation.doomed_member(f"worker-{doom}", doom) for doom in DOOMS]
    await scene.installation.members["worker"].kill()
    await scene.installation.members["worker-2"].kill()
    await asyncio.gather(*(member.start(ready=False) for member in doomed))
    async with scene.shoppers.selling():
        assert [await member.ended() for member in doomed] == [-9] * len(doomed)
        await asyncio.gather(*(scene.installation.members[name].start() for name in ("worker", "worker-2")))

    await scene.shoppers.all_is_well(2 * LEASE)


async def test_a_database_that_crashes_is_gone_on_with_when_it_is_back(scene: Scene) -> None:
    async with scene.shoppers.selling():
        scene.server.stop("immediate")
        await asyncio.sleep(1)
        scene.server.start()
        began = time.monotonic()
        await scene.shoppers.sell()

    assert time.monotonic() - began < 15
    await scene.shoppers.all_is_well(2 * LEASE)


async def test_connections_to_the_database_may_end_at_any_time_and_an_old_snapshot_may_stay(scene: Scene) -> None:
    url = scene.installation.database_url
    async with old_snapshot(url), scene.shoppers.selling():
        for _ in range(KILLS):
            await scene.server.terminate(url, "payments")
            await asyncio.sleep(0.3)

    await scene.shoppers.all_is_well(2 * LEASE)


async def test_a_database_that_freezes_is_gone_on_with_when_it_thaws(scene: Scene) -> None:
    async with scene.shoppers.selling():
        pids = family_of(scene.server.pid)
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(FROZEN_SECONDS)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    await scene.shoppers.all_is_well(2 * LEASE)


async def test_a_worker_that_sleeps_through_its_lease_is_fenced_when_it_wakes(scene: Scene) -> None:
    sleeper = scene.installation.doomed_member("worker-asleep", "asleep:3")
    await sleeper.start()
    async with scene.shoppers.selling():
        await sleeper.asleep()
    await scene.shoppers.all_is_well(2 * LEASE)
    sleeper.thaw()
    await sleeper.has_logged("event.not_applied")
    await scene.shoppers.sell_many(4)

    await scene.shoppers.all_is_well()
    await sleeper.stop()


async def test_an_event_that_kills_whoever_works_on_it_fails_and_harms_no_other(scene: Scene) -> None:
    names = ("worker", "worker-2")
    file = scene.installation.folder / "poison"
    for name in names:
        await scene.installation.members[name].kill()
    poison = await scene.installation.sandbox("POST", "events", PRODUCT)
    file.write_text(poison["id"])
    # All attempts but two are said to be used up, so that the test need not wait for them.
    await _stored(scene, poison["id"])
    await _on_event(scene, USE_UP, poison["id"])
    for number in range(2):
        doomed = scene.installation.doomed_member(f"worker-poisoned{number}", f"at-event:{file}")
        await doomed.start(ready=False)
        assert await doomed.ended() == -9
        await _on_event(scene, END_LEASE, poison["id"])
    for name in names:
        await scene.installation.members[name].start()
    await scene.shoppers.sell_many(3)

    await scene.shoppers.all_is_well(2 * LEASE)
    rows = await _on_event(scene, OUTCOME, poison["id"])
    assert rows == [(FAILED, 13)]


async def _stored(scene: Scene, event_id: str) -> None:
    async with asyncio.timeout(30):
        while not await _on_event(scene, IS_STORED, event_id):  # noqa: ASYNC110  # the condition is in the database
            await asyncio.sleep(0.05)


async def _on_event(scene: Scene, statement: str, event_id: str) -> list[tuple[object, ...]]:
    name = scene.installation.database_url.rpartition("/")[2]
    return await scene.server.run(statement, event_id, database=name)
