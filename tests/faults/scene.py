"""All that a test of faults may break: the servers, the processes, and the links between them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from broker_servers.broker_process import BrokerKind, BrokerProcess, running_broker
from database_servers.postgres_server import PostgresServer

from .fault_proxy import FaultProxy, proxying
from .installation import Installation
from .shoppers import Shoppers

ADDRESSES = {
    "database": "PAYMENTS_DATABASE_URL",
    "broker": "PAYMENTS_BROKER_URL",
    "stripe": "PAYMENTS_STRIPE_API_BASE",
    "webhook": "PAYMENTS_SANDBOX_WEBHOOK_URL",
}
LINKS = ("caller", *ADDRESSES)


@dataclass
class Scene:
    """One installation."""

    server: PostgresServer
    broker: BrokerProcess
    installation: Installation
    shoppers: Shoppers
    links: dict[str, FaultProxy]


@asynccontextmanager
async def open_scene(
    server: PostgresServer, folder: Path, kind: BrokerKind, *names: str, linked: Sequence[str] = (), **variables: str
) -> AsyncIterator[Scene]:
    """Run the named processes on a database and a broker of their own, with a proxy on each link that is named."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(server.new_database())
        broker = await stack.enter_async_context(running_broker(kind))
        installation = Installation(folder, url, broker.url, **variables)
        stack.push_async_callback(installation.close)
        behind = _behind(installation, broker, url)
        links = {name: await stack.enter_async_context(proxying(behind[name])) for name in linked}
        installation.go_by(**_variables(installation, links, behind))
        if "caller" in links:
            installation.reached_at = f"127.0.0.1:{links['caller'].port}"
        await installation.start(*names)
        yield Scene(server, broker, installation, Shoppers(installation), links)


def _behind(installation: Installation, broker: BrokerProcess, database_url: str) -> dict[str, int]:
    ports = installation.ports
    others = {"database": urlsplit(database_url).port or 0, "broker": broker.port}
    return {"caller": ports["grpc"], "stripe": ports["sandbox"], "webhook": ports["bridge"], **others}


def _variables(installation: Installation, links: dict[str, FaultProxy], behind: dict[str, int]) -> dict[str, str]:
    """Have the processes go through the proxies."""
    return {
        variable: installation.variable(variable).replace(f":{behind[name]}", f":{links[name].port}")
        for name, variable in ADDRESSES.items()
        if name in links
    }
