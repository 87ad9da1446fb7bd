"""A host whose clock is wrong refuses webhooks and says why; one whose clock jumps neither doubles nor loses a sale."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from broker_servers.valkey import Valkey
from database_servers.postgres_server import PostgresServer

from .conftest import LONG
from .scene import Scene, open_scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("clocks"),
]
SIX_MINUTES = 360
A_DAY = 86_400
STATES = "SELECT state FROM stripe_events"
PENDING, DEFERRED = 1, 6


class HostClock:
    """The clock of the hosts that our processes run on."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.put_ahead(0)

    def put_ahead(self, seconds: int) -> None:
        """Let it jump."""
        self.file.write_text(str(seconds))


@pytest.fixture(scope="module")
def host_clock(tmp_path_factory: pytest.TempPathFactory) -> HostClock:
    return HostClock(tmp_path_factory.mktemp("clock") / "ahead")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shifted(
    server: PostgresServer, host_clock: HostClock, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    """Give the service on hosts of one clock, which is not the database's and not Stripe's."""
    async with open_scene(server, tmp_path_factory.mktemp("installation"), Valkey()) as opened:
        wayward = opened.installation.wayward_member
        members = [wayward(name, "shifted_process.py", str(host_clock.file)) for name in ("serve", "bridge", "worker")]
        await asyncio.gather(*(member.start() for member in members))
        yield opened
        host_clock.put_ahead(0)


@pytest.mark.parametrize("ahead", [SIX_MINUTES, -SIX_MINUTES])
async def test_six_minutes_off_every_webhook_is_refused_with_the_skew_and_no_sale_is_lost(
    shifted: Scene, host_clock: HostClock, ahead: int
) -> None:
    host_clock.put_ahead(ahead)
    await shifted.shoppers.sell_many(3)
    await shifted.shoppers.all_is_well()
    (delivery, *_) = (await shifted.installation.sandbox("GET", "deliveries"))["data"]
    refused = [line for line in logged(shifted, "bridge") if line["event"] == "webhook.refused"]
    host_clock.put_ahead(0)
    delivered = await taken(shifted, delivery["event"])

    assert {attempt["status"] for attempt in delivery["attempts"]} <= {400}
    assert delivered[-1] == 200
    assert abs(int(refused[-1]["clock_skew_seconds"]) - ahead) < 60
    assert "by this host's clock" in refused[-1]["reason"]


async def test_jumps_of_a_day_lose_and_double_nothing(shifted: Scene, host_clock: HostClock) -> None:
    async with shifted.shoppers.selling():
        for ahead in (-A_DAY, 0, A_DAY, 0):
            host_clock.put_ahead(ahead)
            await shifted.shoppers.sell_many(2)

    await shifted.shoppers.all_is_well()


def logged(scene: Scene, name: str) -> list[dict[str, str]]:
    """Read a process's log."""
    return [json.loads(line) for line in scene.installation.members[name].log.splitlines() if line.startswith("{")]


async def taken(scene: Scene, event_id: str) -> list[int]:
    """Wait until an event is delivered; gives how each attempt was answered."""
    async with asyncio.timeout(60):
        while True:
            (delivery,) = (await scene.installation.sandbox("GET", f"deliveries?event={event_id}"))["data"]
            if delivery["status"] == "succeeded":
                return [attempt["status"] for attempt in delivery["attempts"]]
            await asyncio.sleep(0.1)


@pytest.mark.skipif(not LONG, reason="it needs processes of its own")
async def test_a_host_that_is_a_day_ahead_does_not_give_an_event_up_that_waits_for_its_order(
    server: PostgresServer, tmp_path: Path
) -> None:
    host = HostClock(tmp_path / "ahead")
    refund = {"id": "re_1", "object": "refund", "payment_intent": "pi_unknown", "status": "succeeded"}
    async with open_scene(server, tmp_path, Valkey(), "bridge") as scene:
        event = await scene.installation.sandbox("POST", "events", {"type": "refund.created", "object": refund})
        assert await taken(scene, event["id"]) == [200]
        host.put_ahead(A_DAY)
        await scene.installation.wayward_member("worker", "shifted_process.py", str(host.file)).start()
        name = scene.installation.database_url.rpartition("/")[2]
        async with asyncio.timeout(60):
            while (states := await scene.server.run(STATES, database=name)) == [(PENDING,)]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    assert states == [(DEFERRED,)]
