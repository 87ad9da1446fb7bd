"""The Node example: plain gRPC from the proto files, against what follows the contract and the service itself."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from acceptance.shop import Shop, open_shop, settings_in
from payments_client.pb.payments.v1 import operations_pb2

from .contract_server import Context, Serving, serving
from .example_process import EXAMPLES, PATIENCE, ROOT, running
from .group_server import GroupServer
from .log_server import LogServer, log_of

FOLDER = EXAMPLES / "node-consumer"


def skip_unless_in_ci(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example with its packages."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        skip_unless_in_ci("Node is not installed, so the Node consumer is not run: install Node 20 with npm")
    folder = tmp_path_factory.mktemp("node") / "node-consumer"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=50)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        skip_unless_in_ci(f"The npm registry cannot be reached, so the Node consumer is not run: {error.stderr!r}")
    return folder


def environment(address: str) -> dict[str, str]:
    return {"PAYMENTS_TARGET": address, "PAYMENTS_PROTO": str(ROOT / "proto")}


def test_its_packages_are_locked() -> None:
    locked = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    asked = json.loads((FOLDER / "package.json").read_text())["dependencies"]

    assert {name: locked[f"node_modules/{name}"]["version"] for name in asked} == asked
    assert all("integrity" in package for name, package in locked.items() if name)


async def create_subscriber(request: operations_pb2.CreateSubscriberRequest, _: Context) -> object:
    return operations_pb2.CreateSubscriberResponse(subscriber=request.subscriber)


async def test_it_acknowledges_everything_and_stops_in_order(node: Path) -> None:
    server = GroupServer(log_of(40, orders=5))
    methods: dict[str, Serving] = {"ConsumeFulfillments": server.consume, "CreateSubscriber": create_subscriber}
    async with serving(methods) as address, running(["node", "consumer.mjs"], environment(address), node) as example:
        await example.until("TYPE_PAYMENT_SUCCEEDED ord_0 v9 evt_40")
        async with asyncio.timeout(PATIENCE):
            while not server.is_done:  # noqa: ASYNC110  # another process does it
                await asyncio.sleep(0.02)
        server.end("cut")
        async with asyncio.timeout(PATIENCE):
            while len(server.sessions) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert await example.stop() == 0

    assert sorted(server.acked) == sorted(event.event_id for event in log_of(40))
    assert server.sessions[-1].is_closing


async def test_its_stream_is_the_log_however_it_is_cut(node: Path) -> None:
    server = LogServer(60, seed=4)
    command = ["node", "stream.mjs", str(len(server.wanted))]
    async with (
        serving({"StreamFulfillments": server.stream}) as address,
        running(command, environment(address), node) as example,
    ):
        last = server.wanted[-1]
        await example.until(f"{last.order_id} v{last.order_version}\n")
        lines = example.said.splitlines()

    assert lines == [f"TYPE_PAYMENT_SUCCEEDED {event.order_id} v{event.order_version}" for event in server.wanted]
    assert server.endings_seen


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(settings_in(tmp_path)) as opened:
        yield opened


async def test_it_follows_the_service(node: Path, shop: Shop) -> None:
    async with running(["node", "stream.mjs"], environment(shop.running.grpc_address), node) as example:
        order = await shop.checkout()
        await shop.buyer(order)
        await example.until(f"TYPE_FULFILLED {order.order_id}")


async def test_it_consumes_from_the_service(node: Path, shop: Shop) -> None:
    async with running(["node", "consumer.mjs"], environment(shop.running.grpc_address), node) as example:
        await example.until("consumes")
        order = await shop.checkout()
        await shop.buyer(order)
        await example.until(f"TYPE_FULFILLED {order.order_id}")
        assert await example.stop() == 0
