"""Wake-ups may come ten times, in any order, or not at all: each sale is fulfilled once."""

import asyncio
from itertools import product
from pathlib import Path

import pytest
from broker_servers.broker_process import BrokerKind
from broker_servers.rabbitmq import RabbitMq, require_rabbitmq
from broker_servers.valkey import Valkey
from database_servers.postgres_server import PostgresServer

from .conftest import LONG
from .scene import open_scene

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300), pytest.mark.xdist_group("wake-ups")]
SALES = 100 if LONG else 10
Hows = tuple[str, str]
"""What happens to the bridge's wake-ups, and to the workers'."""
SHORT: list[tuple[BrokerKind, Hows]] = [(Valkey(), ("tenfold", "halved"))]
KINDS: tuple[BrokerKind, ...] = (Valkey(), RabbitMq())
HOWS: list[Hows] = [("tenfold", "tenfold"), ("halved", "halved")]
DONE_ONCE = "SELECT max(attempts) FROM fulfillments"


@pytest.mark.parametrize(("kind", "hows"), list(product(KINDS, HOWS)) if LONG else SHORT)
async def test_wake_ups_that_go_astray_cost_and_double_no_sale(
    server: PostgresServer, tmp_path: Path, kind: BrokerKind, hows: Hows
) -> None:
    if isinstance(kind, RabbitMq):
        require_rabbitmq()
    async with open_scene(server, tmp_path, kind, "serve") as scene:
        wayward = scene.installation.wayward_member
        how_of = {"bridge": hows[0], "worker": hows[1], "worker-2": hows[1]}
        members = [wayward(name, "wayward_process.py", how) for name, how in how_of.items()]
        await asyncio.gather(*(member.start() for member in members))
        await scene.shoppers.sell_many(SALES)
        await scene.shoppers.all_is_well()

        rows = await scene.server.run(DONE_ONCE, database=scene.installation.database_url.rpartition("/")[2])
        assert rows == [(1,)]
