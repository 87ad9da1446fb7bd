"""Sixty orders are created and paid while worker, bridge, server, broker and database are killed in turn.

This is what the service is judged by; intervals are the shipped ones.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from broker_servers.valkey import Valkey
from database_servers.postgres_server import PostgresServer

from .mischief import Mischief
from .scene import Scene, open_scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("frozen"),
]
ORDERS = 60
RECOVERY_SECONDS = 60.0
AS_SHIPPED = {"PAYMENTS_RECONCILE_INTERVAL": "60", "PAYMENTS_DATABASE_POOL_SIZE": "10"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shipped(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("shipped")
    async with open_scene(server, folder, Valkey(), "serve", "bridge", "worker", "worker-2", **AS_SHIPPED) as opened:
        yield opened


async def test_sixty_orders_outlive_the_death_of_each_process_in_turn(shipped: Scene) -> None:
    mischief, shoppers = Mischief(shipped, seed=0), shipped.shoppers
    async with shoppers.selling(at_least=ORDERS):
        for name in ("worker", "bridge", "serve"):
            await mischief.kill(name)
        await mischief.broker()
        await mischief.database()
        shoppers.fault_has_ended()

    assert await shoppers.all_is_well(RECOVERY_SECONDS) < RECOVERY_SECONDS
    await shoppers.acknowledgements_are_kept()
    assert mischief.premature_ends == []
