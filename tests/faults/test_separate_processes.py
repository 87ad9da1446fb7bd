"""Separate processes on PostgreSQL with RabbitMQ, and a worker of several processes."""

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from .scene import Scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("rabbit"),
]


async def test_a_rabbitmq_that_freezes_dies_or_is_wiped_costs_no_sale(rabbit_scene: Scene) -> None:
    shoppers, broker = rabbit_scene.shoppers, rabbit_scene.broker
    await shoppers.sell_many(6)
    with_broker = await shoppers.slowest(6)
    broker.freeze()
    await shoppers.sell_many(4)
    frozen = await shoppers.slowest(4)
    broker.thaw()
    broker.kill()
    await shoppers.sell_many(4)
    without = await shoppers.slowest(4)
    await broker.start()
    await broker.wipe()
    await shoppers.sell_many(4)
    await shoppers.all_is_well()

    assert max(with_broker, frozen, without) < 5.0


async def test_a_worker_of_several_processes_survives_each_of_them_and_leaves_no_orphan(rabbit_scene: Scene) -> None:
    single = rabbit_scene.installation.members["worker"]
    assert await single.stop() == 0
    several = rabbit_scene.installation.member("worker-many", "--processes", "2", "--threads", "4")
    await several.start()
    assert several.process is not None
    first = await children_of(several.process.pid, 2)

    os.kill(min(first), signal.SIGKILL)
    await rabbit_scene.shoppers.sell_many(4)
    await rabbit_scene.shoppers.all_is_well()
    second = await children_of(several.process.pid, 2, without=min(first))
    await several.kill()

    assert max(first) in second
    await gone(second)
    await single.start()


async def children_of(pid: int, number: int, without: int = 0) -> set[int]:
    """Wait until a process has so many children that are ready."""
    while True:
        children = {int(child) for child in told_by(f"/proc/{pid}/task/{pid}/children").split()} - {without}
        if len(children) == number:
            return children
        await asyncio.sleep(0.05)


async def gone(pids: set[int]) -> None:
    """Wait until none of these processes is there."""
    async with asyncio.timeout(15):
        while any(is_alive(pid) for pid in pids):  # noqa: ASYNC110  # the kernel tells nobody
            await asyncio.sleep(0.05)


def is_alive(pid: int) -> bool:
    state = re.sub(r"\(.*\)", "", told_by(f"/proc/{pid}/stat")).split()[1:2]
    return state not in ([], ["Z"])


def told_by(file: str) -> str:
    try:
        return Path(file).read_text()
    except OSError:
        return ""
