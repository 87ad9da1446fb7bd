"""The losses that were reproduced on Dramatiq's own brokers (reading/dramatiq.md 3.1) cost none of our events."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from broker_servers.rabbitmq import RabbitMq, require_rabbitmq
from broker_servers.valkey import Valkey
from database_servers.postgres_server import PostgresServer

from .checker.judge import HEADERS
from .fault_proxy import proxying
from .scene import Scene, open_scene

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300), pytest.mark.xdist_group("losses")]
HELD = "held_process.py"


class Hold:
    """The files by which a worker is held."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, phase: str) -> None:
        """Hold what comes from now on until the phase ends."""
        (self.folder / "phase").write_text(phase)

    def end(self, phase: str) -> None:
        """Let go on what came in the phase."""
        (self.folder / f"end-{phase}").touch()

    def fail(self, *, failing: bool) -> None:
        """Let work fail from now on, or no more."""
        file = self.folder / "failing"
        file.touch() if failing else file.unlink()

    async def until(self, what: str, number: int = 1) -> None:
        """Wait until so many events have `begun`, `ended` or `failed`, in a phase."""
        async with asyncio.timeout(60):
            while len(list(self.folder.glob(f"{what}-evt*"))) < number:  # noqa: ASYNC110  # another process tells
                await asyncio.sleep(0.05)


async def sold_and_begun(scene: Scene, hold: Hold, phase: str) -> int:
    """Sell, and wait until all of the sale's events are held; gives how many those are."""
    before = len(await listed_events(scene))
    hold.begin(phase)
    await scene.shoppers.sell()
    number = len(await listed_events(scene)) - before
    await hold.until(f"begun-{phase}", number)
    return number


async def listed_events(scene: Scene) -> list[dict[str, Any]]:
    url = f"{scene.installation.sandbox_url}/v1/events?limit=100"
    async with aiohttp.ClientSession(headers=HEADERS) as http, http.get(url) as reply:
        found: list[dict[str, Any]] = (await reply.json())["data"]
        return found


async def queue_has(scene: Scene, holds: Callable[[Any], bool]) -> Any:  # noqa: ANN401  # the client's own type
    """Wait until RabbitMQ's queue of events is so."""
    async with asyncio.timeout(60):
        while not holds(queue := await asyncio.to_thread(_declared, scene.broker.port)):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return queue


def _declared(port: int) -> Any:  # noqa: ANN401
    import pika

    with pika.BlockingConnection(pika.ConnectionParameters(port=port)) as connection:
        return connection.channel().queue_declare("stripe_events", passive=True).method


async def test_an_acknowledgement_that_hits_another_message_loses_no_event(
    server: PostgresServer, tmp_path: Path
) -> None:
    """A worker that comes back acknowledges by a number which means another message by then."""
    require_rabbitmq()
    hold = Hold(tmp_path)
    async with (
        open_scene(server, tmp_path, RabbitMq(), "serve", "bridge") as scene,
        proxying(scene.broker.port) as link,
    ):
        held = scene.installation.wayward_member("worker-held", HELD, str(tmp_path))
        other = scene.installation.member("worker")
        await held.start(PAYMENTS_BROKER_URL=f"amqp://127.0.0.1:{link.port}", PAYMENTS_WORKER_THREADS="32")
        await sold_and_begun(scene, hold, "early")
        await link.refuse()
        await other.start()
        await scene.shoppers.all_is_well()
        await other.kill()
        await queue_has(scene, lambda queue: queue.consumer_count == 0)
        await link.open()
        await queue_has(scene, lambda queue: queue.consumer_count == 1)
        late = await sold_and_begun(scene, hold, "late")
        hold.end("early")
        await hold.until("ended-early", late)
        await asyncio.sleep(0.5)
        await held.kill()
        queue = await queue_has(scene, lambda queue: queue.consumer_count == 0)
        print(f"RabbitMQ has lost {late - queue.message_count} of {late} messages")
        assert queue.message_count < late
        await other.start()

        await scene.shoppers.all_is_well()


async def test_work_that_fails_while_redis_is_away_is_done_when_it_is_back(
    server: PostgresServer, tmp_path: Path
) -> None:
    """Dramatiq would put the message back for another try, fail at that, and forget it."""
    hold = Hold(tmp_path)
    async with open_scene(server, tmp_path, Valkey(), "serve", "bridge") as scene:
        worker = scene.installation.wayward_member("worker-held", HELD, str(tmp_path))
        await worker.start()
        await sold_and_begun(scene, hold, "early")
        scene.broker.kill()
        hold.fail(failing=True)
        hold.end("early")
        await hold.until("failed-")
        await scene.broker.start()
        hold.fail(failing=False)

        await scene.shoppers.all_is_well()
