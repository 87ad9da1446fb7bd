"""A full disk: the bridge answers 503 and acknowledges nothing that is not stored; with room all goes on by itself."""

import asyncio
import json
import os
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from broker_servers.valkey import Valkey
from database_servers.postgres_binaries import server_user
from database_servers.postgres_server import PostgresServer

from .conftest import LONG
from .installation import Installation
from .scene import Scene, open_scene
from .shoppers import Shoppers
from .tiny_disk import TinyDisk, tiny_disk

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300), pytest.mark.xdist_group("disk")]
BLOB = "x" * 60_000
UNAVAILABLE = 503
PATIENCE = 90.0


async def events_until_refused(installation: Installation, order_id: str) -> None:
    """Have long events of an order, which change nothing in it, until one is refused for want of room."""
    product = {"id": "prod_1", "description": BLOB, "metadata": {"order_id": order_id}}
    async with asyncio.timeout(PATIENCE):
        while not any(answered(each) == {UNAVAILABLE} for each in await deliveries(installation)):
            await installation.sandbox("POST", "events", {"type": "product.updated", "object": product})
            await asyncio.sleep(0.1)


async def all_delivered(installation: Installation) -> None:
    """Wait until all that was refused has come again."""
    async with asyncio.timeout(PATIENCE):
        while any(each["status"] == "pending" for each in await deliveries(installation)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def deliveries(installation: Installation) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await installation.sandbox("GET", "deliveries"))["data"]
    return listed


def answered(delivery: dict[str, Any]) -> set[int]:
    return {attempt["status"] for attempt in delivery["attempts"]}


def require_stored(told: list[dict[str, Any]], stored: set[str]) -> None:
    """Judge, with no room left, what was answered by what is stored."""
    assert {each["event"] for each in told if 200 in answered(each)} <= stored
    assert set().union(*map(answered, told)) == {200, UNAVAILABLE}


@asynccontextmanager
async def on_tiny_disk(server: PostgresServer, disk: TinyDisk, folder: Path) -> AsyncIterator[Scene]:
    """Give an installation whose database is where a test can leave no room."""
    space = f"tiny{os.getpid()}"
    await server.run(f"CREATE TABLESPACE {space} LOCATION '{disk.room_for(server_user())}'")
    try:
        async with open_scene(server, folder, Valkey()) as scene:
            await server.run(f"ALTER DATABASE {database_of(scene)} SET TABLESPACE {space}")
            members = [scene.installation.member(name) for name in ("serve", "bridge", "worker")]
            await asyncio.gather(*(member.start() for member in members))
            yield scene
    finally:
        await server.run(f"DROP TABLESPACE {space}")


def database_of(scene: Scene) -> str:
    return scene.installation.database_url.rpartition("/")[2]


async def test_a_postgresql_without_room_is_told_to_stripe_and_gone_on_with(
    server: PostgresServer, tmp_path: Path
) -> None:
    with tiny_disk(24) as disk:
        async with on_tiny_disk(server, disk, tmp_path) as scene:
            await scene.shoppers.sell_many(2)
            await scene.shoppers.all_is_well()
            disk.fill()
            await events_until_refused(scene.installation, scene.shoppers.orders[0])
            rows = await server.run("SELECT stripe_event_id FROM stripe_events", database=database_of(scene))
            require_stored(await deliveries(scene.installation), {row[0] for row in rows})
            disk.clear()
            await all_delivered(scene.installation)
            await scene.shoppers.sell_many(2)

            await scene.shoppers.all_is_well()


@pytest.mark.parametrize("limited", [False, True] if LONG else [os.geteuid() != 0])
async def test_an_embedded_service_without_room_tells_stripe_so_and_goes_on(tmp_path: Path, *, limited: bool) -> None:
    """The disk is full, or, where nobody may mount one, the process may write no longer file."""
    with nullcontext() if limited else tiny_disk(8) as disk:
        folder = disk.folder if disk else tmp_path
        installation = Installation(tmp_path, f"sqlite:///{folder}/payments.db", "memory://")
        try:
            await installation.start("up")
            shoppers = Shoppers(installation)
            await shoppers.sell()
            await fulfilled(installation, shoppers.orders)
            room = no_room(installation, folder) if disk is None else disk.full()
            with room:
                await events_until_refused(installation, shoppers.orders[0])
                require_stored(await deliveries(installation), stored_in(folder / "payments.db"))
            await all_delivered(installation)
            await shoppers.sell()

            await fulfilled(installation, shoppers.orders)
        finally:
            await installation.close()


@contextmanager
def no_room(installation: Installation, folder: Path) -> Iterator[None]:
    """Let the process's files grow by a little only."""
    process = installation.members["up"].process
    assert process is not None
    size = max(file.stat().st_size for file in folder.glob("payments.db*"))
    unlimited = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size + len(BLOB), unlimited[1]))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)


def stored_in(file: Path) -> set[str]:
    """Read the events that a SQLite file has."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return {row[0] for row in connection.execute("SELECT stripe_event_id FROM stripe_events")}


async def fulfilled(installation: Installation, orders: list[str]) -> None:
    """Wait until the subscriber was told of each order, and judge that it was told once."""
    async with asyncio.timeout(PATIENCE):
        while not set(orders) <= set(told := [*_fulfilled(installation.told())]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert sorted(told) == sorted(orders)


def _fulfilled(history: str) -> Iterator[str]:
    """Name the orders that were told to be fulfilled, each for each event."""
    told = {each["event_id"]: each for each in map(json.loads, history.splitlines())}
    yield from (each["order_id"] for each in told.values() if each["type"] == "TYPE_FULFILLED")
