"""Each link between the processes is slow, cut, deaf and cut in the midst of a message, by turns; no sale suffers."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from broker_servers.valkey import Valkey
from database_servers.postgres_server import PostgresServer

from .conftest import LONG
from .scene import LINKS, Scene, open_scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("links"),
]
SECONDS = 2.0
"""How long a link is in trouble."""
TRIED = LINKS if LONG else ("database", "stripe")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def linked(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("linked")
    async with open_scene(server, folder, Valkey(), "serve", "bridge", "worker", linked=LINKS) as opened:
        yield opened


@pytest.mark.parametrize("name", TRIED)
async def test_a_link_in_trouble_costs_no_sale(linked: Scene, name: str) -> None:
    link, shoppers = linked.links[name], linked.shoppers
    async with shoppers.selling():
        link.latency = 0.1
        await asyncio.sleep(SECONDS / 2)
        link.heal()
        link.reset()
        link.black_hole()
        await asyncio.sleep(SECONDS)
        link.heal()
        for cut_after in (1, 100, 1000):
            link.cut_after = cut_after
            await asyncio.sleep(SECONDS / 4)
        await link.refuse()
        await asyncio.sleep(SECONDS / 2)
        link.heal()
        await link.open()

    await shoppers.all_is_well(90)
