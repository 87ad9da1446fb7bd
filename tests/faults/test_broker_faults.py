"""A broker in any trouble delays no webhook, loses no sale, and costs a payment no more than a sweep."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import pytest_asyncio
from broker_servers.broker_process import BrokerKind
from broker_servers.rabbitmq import RabbitMq, require_rabbitmq
from broker_servers.valkey import Valkey
from database_servers.postgres_server import PostgresServer

from .conftest import LONG
from .payment_times import payment_times, was_woken
from .scene import Scene, open_scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("broker"),
]
A_SWEEP = 2.0
NOISE = 3.0 if LONG else 15.0
"""What a machine may add that is busy with the test itself and with others; what it was is printed."""
WAITING = 1.0
"""A webhook that waits for the broker takes as long as the broker's time limits, 2 to 5 s."""
STOP_SECONDS = 10.0
FROZEN_SECONDS = 15.0 if LONG else 3.0
SALES = 12 if LONG else 6
KINDS = ("valkey", "rabbitmq") if LONG else ("valkey",)
Trouble = Callable[[Scene], AbstractAsyncContextManager[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=KINDS)
async def brokered(
    request: pytest.FixtureRequest, server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    """Give the service with a proxy before its broker."""
    if request.param == "rabbitmq":
        require_rabbitmq()
    kind: BrokerKind = RabbitMq() if request.param == "rabbitmq" else Valkey()
    folder = tmp_path_factory.mktemp("installation")
    async with open_scene(server, folder, kind, "serve", "bridge", "worker", linked=("broker",)) as opened:
        yield opened


@asynccontextmanager
async def dead(scene: Scene) -> AsyncIterator[None]:
    scene.broker.kill()
    try:
        yield
    finally:
        await scene.broker.start()


@asynccontextmanager
async def frozen(scene: Scene) -> AsyncIterator[None]:
    scene.broker.freeze()
    try:
        yield
        await asyncio.sleep(FROZEN_SECONDS)
    finally:
        scene.broker.thaw()


@asynccontextmanager
async def refusing(scene: Scene) -> AsyncIterator[None]:
    await scene.links["broker"].refuse()
    try:
        yield
    finally:
        await scene.links["broker"].open()


@asynccontextmanager
async def deaf(scene: Scene) -> AsyncIterator[None]:
    """Take connections, those that are and those that come, and answer on none."""
    scene.links["broker"].black_hole()
    try:
        yield
    finally:
        scene.links["broker"].heal()


@asynccontextmanager
async def deaf_to_newcomers(scene: Scene) -> AsyncIterator[None]:
    scene.links["broker"].reset()
    async with deaf(scene):
        yield


@asynccontextmanager
async def wiped(scene: Scene) -> AsyncIterator[None]:
    await scene.broker.wipe()
    yield


@pytest.mark.parametrize("trouble", [dead, frozen, refusing, deaf, deaf_to_newcomers, wiped])
async def test_a_broker_in_trouble_costs_no_sale_and_no_more_than_a_sweep(brokered: Scene, trouble: Trouble) -> None:
    shoppers, url = brokered.shoppers, brokered.installation.database_url
    async with trouble(brokered):
        await shoppers.sell_many(SALES)
        await shoppers.all_is_well()
    during = shoppers.orders[-SALES:]
    await shoppers.sell_many(2)
    await shoppers.all_is_well()

    times = await payment_times(url, during)
    answered = await answer_milliseconds(brokered, 2 * SALES)
    print(f"{trouble.__name__}: payments {times[0]:.2f} to {times[-1]:.2f} s, webhooks up to {answered[-1]:.0f} ms")
    assert len(times) == SALES
    assert times[-1] < A_SWEEP + NOISE
    assert answered[len(answered) // 2] < WAITING * 1000


async def test_a_broker_that_is_back_is_used_again(brokered: Scene) -> None:
    async with asyncio.timeout(120):
        while not await was_woken(brokered.installation.database_url, await one_sale(brokered)):
            pass


async def test_processes_stop_in_time_while_the_broker_answers_nothing(brokered: Scene) -> None:
    members = [brokered.installation.members[name] for name in ("serve", "bridge", "worker")]
    loop = asyncio.get_running_loop()
    async with deaf(brokered):
        await brokered.shoppers.sell()
        began = loop.time()
        codes = await asyncio.gather(*(member.stop() for member in members))
        took = loop.time() - began
    await asyncio.gather(*(member.start() for member in members))

    print(f"stopped in {took:.1f} s")
    assert codes == [0, 0, 0]
    assert took < STOP_SECONDS + NOISE
    await brokered.shoppers.all_is_well()


async def one_sale(scene: Scene) -> str:
    order_id = await scene.shoppers.sell()
    await scene.shoppers.all_is_well()
    return order_id


async def answer_milliseconds(scene: Scene, number: int) -> list[float]:
    """List how long the last webhooks were answered in, the quickest first."""
    listed = (await scene.installation.sandbox("GET", "deliveries"))["data"][:number]
    return sorted(attempt["milliseconds"] for each in listed for attempt in each["attempts"])
