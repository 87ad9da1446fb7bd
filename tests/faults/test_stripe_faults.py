"""A Stripe that fails makes never two sessions and never two refunds of one request."""

import pytest

from .conftest import LONG
from .scene import Scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("stripe"),
]


@pytest.mark.parametrize("when", ["before", "after"] if LONG else ["after"])
async def test_a_stripe_that_fails_makes_never_two_sessions_of_one_request(scene: Scene, when: str) -> None:
    for fault in ({"status": 500, "when": when}, {"status": 429, "when": "before"}):
        async with scene.installation.faults(api={**fault, "probability": 0.4}):
            await scene.shoppers.sell_many(6)

    await scene.shoppers.all_is_well()
