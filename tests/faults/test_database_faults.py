"""PostgreSQL crashes, freezes or ends its connections: what was acknowledged is there, and all goes on by itself."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest
from database_servers.postgres_server import PostgresServer

from .conftest import KILLS, LONG
from .installation import Member
from .scene import Scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.faults,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("shared"),
]
FROZEN_SECONDS = 15.0 if LONG else 4.0
CRASHES = 10 if LONG else 1


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


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    """Stop the server's first process and its children; who connects is kept waiting."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    pids = [server.pid, *map(int, children)]
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def crash(scene: Scene, away_seconds: float) -> None:
    await asyncio.to_thread(scene.server.stop, "immediate")
    await asyncio.sleep(away_seconds)
    await asyncio.to_thread(scene.server.start)


async def test_a_database_that_crashes_is_gone_on_with_when_it_is_back(shared_scene: Scene) -> None:
    shoppers = shared_scene.shoppers
    async with shoppers.selling():
        for _ in range(CRASHES):
            await crash(shared_scene, away_seconds=1)
            began = time.monotonic()
            await shoppers.sell()
            assert time.monotonic() - began < 15
        shoppers.fault_has_ended()

    await shoppers.all_is_well()
    await shoppers.acknowledgements_are_kept()


async def test_a_process_that_starts_without_its_database_waits_for_it(shared_scene: Scene) -> None:
    members, shoppers = shared_scene.installation.members, shared_scene.shoppers
    names = ("serve", "bridge", "worker")
    async with shoppers.selling():
        await asyncio.to_thread(shared_scene.server.stop, "immediate")
        await asyncio.gather(*(members[name].kill() for name in names))
        starting = [asyncio.create_task(members[name].start()) for name in names]
        await asyncio.gather(*(members[name].has_logged("database.awaited") for name in names))
        await asyncio.to_thread(shared_scene.server.start)
        await asyncio.gather(*starting)
        shoppers.fault_has_ended()

    await shoppers.all_is_well()


async def test_a_process_that_waits_for_its_database_may_be_stopped(shared_scene: Scene) -> None:
    installation = shared_scene.installation
    lonely = installation.member("worker-lonely", PAYMENTS_DATABASE_URL="postgresql://payments@127.0.0.1:1/none")
    await lonely.start(ready=False)
    await lonely.has_logged("database.awaited")

    assert await lonely.stop() == 0


async def test_connections_to_the_database_may_end_at_any_time_and_an_old_snapshot_may_stay(
    shared_scene: Scene,
) -> None:
    shoppers, url = shared_scene.shoppers, shared_scene.installation.database_url
    async with old_snapshot(url), shoppers.selling():
        for _ in range(KILLS):
            await shared_scene.server.terminate(url, "payments")
            await shared_scene.server.terminate(url, "payments listen")
            await asyncio.sleep(0.3)
        shoppers.fault_has_ended()

    await shoppers.all_is_well()


async def test_a_database_that_freezes_is_gone_on_with_when_it_thaws(shared_scene: Scene) -> None:
    async with shared_scene.shoppers.selling():
        with frozen(shared_scene.server):
            await asyncio.sleep(FROZEN_SECONDS)
        shared_scene.shoppers.fault_has_ended()

    await shared_scene.shoppers.all_is_well()


@pytest.mark.parametrize("after_seconds", [0.5, 1.0, 1.5, 2.0, 2.5] if LONG else [1.5])
async def test_a_migration_that_is_killed_leaves_all_or_nothing(shared_scene: Scene, after_seconds: float) -> None:
    server = shared_scene.server
    async with server.new_database(migrated=False) as url:
        migrators = [migrator(shared_scene, f"migrate-{number}", url) for number in range(2)]
        for each in migrators:
            await each.start(ready=False)
        await asyncio.sleep(after_seconds)
        await migrators[0].kill()
        assert await migrators[1].ended() == 0
        last = migrator(shared_scene, "migrate-last", url)
        await last.start(ready=False)

        assert await last.ended() == 0
        assert await server.run("SELECT position FROM event_log_head", database=url.rpartition("/")[2]) == [(0,)]


def migrator(scene: Scene, name: str, url: str) -> Member:
    return scene.installation.member(name, PAYMENTS_DATABASE_URL=url)
