"""A broker that is not there from before the start: all is served and done, and goes on with it when it comes."""

import asyncio
from pathlib import Path

import pytest
from broker_servers.broker_process import BrokerKind
from broker_servers.rabbitmq import RabbitMq, require_rabbitmq
from broker_servers.valkey import Valkey
from database_servers.postgres_server import PostgresServer

from .conftest import LONG
from .payment_times import WOKEN_SECONDS, payment_times, was_woken
from .scene import Scene, open_scene

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300), pytest.mark.xdist_group("absent")]
KINDS: list[BrokerKind] = [Valkey(), RabbitMq()] if LONG else [Valkey()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("deaf", [False, True] if LONG else [False])
async def test_without_a_broker_from_the_start_every_sale_is_done_and_it_is_used_when_it_comes(
    server: PostgresServer, tmp_path: Path, kind: BrokerKind, deaf: bool
) -> None:
    if isinstance(kind, RabbitMq):
        require_rabbitmq()
    async with open_scene(server, tmp_path, kind, linked=("broker",)) as scene:
        link = scene.links["broker"]
        if deaf:
            link.black_hole()
        else:
            await link.refuse()
        names = ("serve", "bridge", "worker", "worker-2")
        await asyncio.gather(*(scene.installation.member(name).start() for name in names))
        await scene.shoppers.sell_many(8)
        await scene.shoppers.all_is_well()
        times = await payment_times(scene.installation.database_url, scene.shoppers.orders)
        print(f"without a broker: payments {times[0]:.2f} to {times[-1]:.2f} s")
        link.heal()
        if not deaf:
            await link.open()
        async with asyncio.timeout(120):
            while not await was_woken(scene.installation.database_url, await one_sale(scene)):
                pass

        await scene.shoppers.all_is_well()
        assert len(times) == 8
        assert times[0] > WOKEN_SECONDS


async def one_sale(scene: Scene) -> str:
    """Sell one, and wait until it is fulfilled."""
    order_id = await scene.shoppers.sell()
    await scene.shoppers.all_is_well()
    return order_id
