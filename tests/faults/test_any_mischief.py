"""Faults by chance, one after another and two at a time, on any process at any moment: nothing is lost.

`PAYMENTS_TEST_SEEDS` names the seeds (`7` or `1-20`); a failure names the one that it came with.
"""

import asyncio
import os
import random

import pytest

from .conftest import LONG
from .mischief import Mischief
from .scene import Scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.faults,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("shared"),
]
FAULTS = 4 if LONG else 3
ORDERS = 24
FIRST, _, LAST = os.environ.get("PAYMENTS_TEST_SEEDS", "1-6" if LONG else "1").partition("-")
RECOVERY_SECONDS = 60.0


@pytest.mark.parametrize("seed", range(int(FIRST), int(LAST or FIRST) + 1))
async def test_whatever_breaks_nothing_is_lost(shared_scene: Scene, seed: int) -> None:
    mischief, chance = Mischief(shared_scene, seed), random.Random(seed)  # noqa: S311
    faults = mischief.faults
    chosen = chance.sample(sorted(faults), FAULTS)
    print(f"seed {seed}: {', '.join(chosen)}")
    async with shared_scene.shoppers.selling(at_least=ORDERS, impatience=0.2):
        for name in chosen:
            await faults[name]()
            await asyncio.sleep(chance.uniform(0.0, 1.0))
        shared_scene.shoppers.fault_has_ended()

    await shared_scene.shoppers.all_is_well(RECOVERY_SECONDS, f"mischief, the last: {chosen[-1]}")
    await shared_scene.shoppers.acknowledgements_are_kept()
    assert mischief.premature_ends == []
