"""Separate processes on PostgreSQL with a broker sell as one process on SQLite does."""

from pathlib import Path

from broker_servers.broker_process import BrokerProcess

from .installation import Installation, open_installation
from .shoppers import Shoppers


async def test_separate_processes_sell_on_postgresql_and_valkey(shoppers: Shoppers) -> None:
    await shoppers.sell_many(10)

    assert await shoppers.all_is_well() < 10


async def test_separate_processes_sell_on_postgresql_and_rabbitmq(
    tmp_path: Path, stored_at: str, rabbitmq: BrokerProcess
) -> None:
    async with open_installation(tmp_path, stored_at, rabbitmq.url, "serve", "bridge", "worker") as installation:
        shoppers = Shoppers(installation)
        await shoppers.sell_many(10)

        assert await shoppers.all_is_well() < 10


async def test_every_process_ends_in_time_when_it_is_told_to(installation: Installation, shoppers: Shoppers) -> None:
    await shoppers.sell()

    assert [await installation.members[name].stop() for name in ("worker", "bridge", "serve")] == [0, 0, 0]
