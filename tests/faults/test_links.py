"""Each link between the processes is slow, cut, deaf, gone and cut in the midst of a message: no sale suffers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import product

import pytest
import pytest_asyncio
from broker_servers.valkey import Valkey
from database_servers.postgres_server import PostgresServer

from .conftest import LONG
from .fault_proxy import FaultProxy
from .scene import LINKS, Scene, open_scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("links"),
]
SECONDS = 2.0
"""How long a link is in trouble."""
Fault = Callable[[FaultProxy], Awaitable[None]]


async def slow(link: FaultProxy) -> None:
    link.latency = 0.1
    await asyncio.sleep(SECONDS)


async def reset(link: FaultProxy) -> None:
    for _ in range(4):
        link.reset()
        await asyncio.sleep(SECONDS / 4)


async def deaf(link: FaultProxy) -> None:
    """Take connections, those that are and those that come, and pass nothing on."""
    link.reset()
    link.black_hole()
    await asyncio.sleep(SECONDS)


async def cut(link: FaultProxy) -> None:
    """Cut the connection that carries the first byte from now on, the hundredth, and the thousandth."""
    for cut_after in (1, 100, 1000):
        link.cut_after = cut_after
        await asyncio.sleep(SECONDS / 3)


async def gone(link: FaultProxy) -> None:
    await link.refuse()
    await asyncio.sleep(SECONDS)
    await link.open()


FAULTS: tuple[Fault, ...] = (slow, reset, deaf, cut, gone)
SAMPLE = [("caller", cut), ("database", deaf), ("broker", reset), ("stripe", gone), ("webhook", slow)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def linked(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("linked")
    async with open_scene(server, folder, Valkey(), "serve", "bridge", "worker", linked=LINKS) as opened:
        yield opened


@pytest.mark.parametrize(("name", "fault"), list(product(LINKS, FAULTS)) if LONG else SAMPLE)
async def test_a_link_in_trouble_costs_no_sale(linked: Scene, name: str, fault: Fault) -> None:
    link = linked.links[name]
    async with linked.shoppers.selling():
        await fault(link)
        link.heal()

    await linked.shoppers.all_is_well(90)
