"""Each link between the processes is slow, cut, deaf and cut in the midst of a message, by turns; no sale suffers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from broker_servers.broker_process import running_broker
from broker_servers.valkey import Valkey
from database_servers.postgres_server import PostgresServer

from .conftest import LONG
from .fault_proxy import FaultProxy, proxying
from .installation import Installation
from .shoppers import Shoppers

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("links"),
]
SECONDS = 2.0
"""How long a link is in trouble."""
LINKS = ("caller", "database", "broker", "stripe", "webhook") if LONG else ("database", "stripe")


@dataclass
class Linked:
    """The service with a proxy on each link."""

    installation: Installation
    shoppers: Shoppers
    links: dict[str, FaultProxy]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def linked(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Linked]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(server.new_database())
        broker = await stack.enter_async_context(running_broker(Valkey()))
        installation = Installation(tmp_path_factory.mktemp("linked"), url, broker.url)
        stack.push_async_callback(installation.close)
        ports = installation.ports
        behind = {
            "caller": ports["grpc"],
            "database": urlsplit(url).port or 0,
            "broker": broker.port,
            "stripe": ports["sandbox"],
            "webhook": ports["bridge"],
        }
        links = {name: await stack.enter_async_context(proxying(port)) for name, port in behind.items()}
        installation.go_by(
            PAYMENTS_DATABASE_URL=url.replace(f":{behind['database']}/", f":{links['database'].port}/"),
            PAYMENTS_BROKER_URL=f"redis://127.0.0.1:{links['broker'].port}",
            PAYMENTS_STRIPE_API_BASE=f"http://127.0.0.1:{links['stripe'].port}",
            PAYMENTS_SANDBOX_WEBHOOK_URL=f"http://127.0.0.1:{links['webhook'].port}/webhooks/stripe",
        )
        await installation.start("serve", "bridge", "worker")
        yield Linked(installation, Shoppers(installation, f"127.0.0.1:{links['caller'].port}"), links)


@pytest.mark.parametrize("name", LINKS)
async def test_a_link_in_trouble_costs_no_sale(linked: Linked, name: str) -> None:
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
