"""Processes of every kind are killed at random, a worker's supervisor among them: no sale is lost."""

import random

import pytest

from .conftest import KILLS
from .scene import Scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.faults,
    pytest.mark.timeout(3600),
    pytest.mark.xdist_group("shared"),
]
KINDS = ("serve", "bridge", "worker", "worker-2")
BATCH = 50
"""After so many kills all is judged, so that a long run tells early."""


async def test_no_sale_is_lost_while_every_kind_of_process_is_killed(shared_scene: Scene) -> None:
    members, shoppers = shared_scene.installation.members, shared_scene.shoppers
    names = [*KINDS, *random.choices(KINDS, k=KILLS - len(KINDS))]  # noqa: S311
    for first in range(0, KILLS, BATCH):
        async with shoppers.selling():
            for name in names[first : first + BATCH]:
                await members[name].kill()
                await members[name].start()
            shoppers.fault_has_ended()
        await shoppers.all_is_well(fault="processes killed at random")
        await shoppers.acknowledgements_are_kept()


async def test_a_supervisor_that_is_killed_with_its_workers_at_work_loses_nothing(shared_scene: Scene) -> None:
    installation, shoppers = shared_scene.installation, shared_scene.shoppers
    several = installation.member("worker-many", "--processes", "2", "--threads", "4")
    await several.start()
    for name in ("worker", "worker-2"):
        await installation.members[name].stop()
    async with shoppers.selling():
        await several.kill()
        for name in ("worker", "worker-2"):
            await installation.members[name].start()
        shoppers.fault_has_ended()

    await shoppers.all_is_well()
