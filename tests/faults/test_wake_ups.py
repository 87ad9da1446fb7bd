"""Wake-ups may come ten times, in any order, or not at all: each sale is fulfilled once."""

import asyncio
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
KINDS: list[tuple[BrokerKind, str]] = [(Valkey(), "tenfold"), (Valkey(), "halved")]
LONG_KINDS: list[tuple[BrokerKind, str]] = [(RabbitMq(), "tenfold"), (RabbitMq(), "halved")]
DONE_ONCE = "SELECT max(attempts) FROM fulfillments"


@pytest.mark.parametrize(("kind", "how"), KINDS + (LONG_KINDS if LONG else []))
async def test_wake_ups_that_go_astray_cost_and_double_no_sale(
    server: PostgresServer, tmp_path: Path, kind: BrokerKind, how: str
) -> None:
    if isinstance(kind, RabbitMq):
        require_rabbitmq()
    async with open_scene(server, tmp_path, kind, "serve") as scene:
        wayward = scene.installation.wayward_member
        members = [wayward(name, "wayward_process.py", how) for name in ("bridge", "worker", "worker-2")]
        await asyncio.gather(*(member.start() for member in members))
        await scene.shoppers.sell_many(SALES)
        await scene.shoppers.all_is_well()

        rows = await scene.server.run(DONE_ONCE, database=scene.installation.database_url.rpartition("/")[2])
        assert rows == [(1,)]
