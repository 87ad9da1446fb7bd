"""Webhooks that come twice, late, out of order or never: each payment counts once, and none is missed."""

import asyncio

import pytest

from .conftest import LONG
from .scene import Scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("webhooks"),
]
ROUNDS = 2 * 1.25
"""Seconds between two looks at Stripe's list, as these processes are told, and the jitter of duties."""
NOISE = 5.0 if LONG else 15.0
"""What a machine may add that is busy with the test itself and with others; what it was is printed."""
MINUTES = 600.0
HOURS = 30 if LONG else 4
OTHERS = 40
WORKERS = ("worker", "worker-2")


async def workers(scene: Scene, interval: str) -> None:
    """Replace the workers by others, which look at Stripe's list as often as is said."""
    for name in WORKERS:
        await scene.installation.members[name].kill()
    await asyncio.gather(
        *(scene.installation.members[name].start(PAYMENTS_RECONCILE_INTERVAL=interval) for name in WORKERS)
    )


async def test_what_stripe_never_delivers_is_found_within_a_round(scene: Scene) -> None:
    async with scene.installation.faults(webhooks={"drop": 1.0}):
        await scene.shoppers.sell_many(5)
        took = await scene.shoppers.all_is_well()

    print(f"found {took:.1f} s after the last payment; a round is at most {ROUNDS:.1f} s")
    assert took < ROUNDS + NOISE


async def test_what_stripe_delivers_twice_late_and_out_of_order_counts_once(scene: Scene) -> None:
    async with scene.installation.faults(webhooks={"duplicate": 3, "reorder": True, "delay_seconds": 0.5}):
        await scene.shoppers.sell_many(8)
        await scene.shoppers.all_is_well()


async def test_what_stripe_delivers_minutes_later_all_at_once_and_thrice_counts_once(scene: Scene) -> None:
    """Nobody asks Stripe for it meanwhile."""
    await workers(scene, "3600")
    async with scene.installation.faults(webhooks={"duplicate": 2, "reorder": True, "delay_seconds": MINUTES}):
        await scene.shoppers.sell_many(6)
        waiting = len(scene.shoppers.orders) - len((await scene.shoppers.settled(1.0))[0].entitlements)
        await scene.installation.sandbox("POST", "clock", {"advance_seconds": MINUTES + 1})
        await scene.shoppers.all_is_well()
    await workers(scene, "2")

    assert waiting == 6


async def test_a_bridge_that_was_down_for_hours_costs_no_sale(scene: Scene) -> None:
    """What happened meanwhile is read from Stripe's list, hour after hour, among much that changes nothing."""
    bridge = scene.installation.members["bridge"]
    for name in WORKERS:
        await scene.installation.members[name].kill()
    await bridge.kill()
    for _ in range(HOURS):
        await scene.shoppers.sell_many(2)
        # They change nothing, but are told to be of an order of ours.
        product = {"id": "prod_1", "metadata": {"order_id": scene.shoppers.orders[0]}}
        for _ in range(OTHERS):
            await scene.installation.sandbox("POST", "events", {"type": "product.updated", "object": product})
        await scene.installation.sandbox("POST", "clock", {"advance_seconds": 3600})
    await asyncio.gather(*(scene.installation.members[name].start() for name in WORKERS))
    took = await scene.shoppers.all_is_well()
    await bridge.start()
    await scene.shoppers.sell()

    print(f"{HOURS} hours of {OTHERS + 10} events each: {took:.1f} s after the workers' start")
    await scene.shoppers.all_is_well()
