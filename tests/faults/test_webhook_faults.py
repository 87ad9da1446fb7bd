"""Webhooks that come twice, late, out of order or never: each payment counts once, and none is missed."""

import pytest

from .scene import Scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("webhooks"),
]


async def test_what_stripe_never_delivers_is_asked_for(scene: Scene) -> None:
    async with scene.installation.faults(webhooks={"drop": 1.0}):
        await scene.shoppers.sell_many(5)
        await scene.shoppers.all_is_well()


async def test_what_stripe_delivers_twice_late_and_out_of_order_counts_once(scene: Scene) -> None:
    async with scene.installation.faults(webhooks={"duplicate": 3, "reorder": True, "delay_seconds": 0.5}):
        await scene.shoppers.sell_many(8)
        await scene.shoppers.all_is_well()
