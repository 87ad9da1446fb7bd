"""Each kind of process dies right before and right after each of its first commits: no sale is lost or made twice."""

import asyncio

import pytest

from .conftest import LONG
from .scene import Scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("shared"),
]
SIDES = ("before", "after")
ANSWERED = "before-statement:UPDATE orders SET creation_doubtful"
"""Stripe has answered, and the session is about to be kept."""
SEQUENCED = "before-statement:SELECT sequence_events"
"""Something is committed, and does not have its place in the log."""
if LONG:
    EACH = [f"{side}-commit:{number}" for number in range(1, 9) for side in SIDES]
    DOOMS = {"serve": [ANSWERED, SEQUENCED, *EACH], "bridge": EACH[:8], "worker": [SEQUENCED, *EACH]}
else:
    DOOMS = {
        "serve": [ANSWERED, "after-commit:1"],
        "bridge": ["after-commit:1", "before-commit:2"],
        "worker": [SEQUENCED, "after-commit:2"],
    }


@pytest.mark.parametrize("kind", DOOMS)
async def test_a_process_may_die_at_each_of_its_commits(shared_scene: Scene, kind: str) -> None:
    installation, shoppers = shared_scene.installation, shared_scene.shoppers
    usual = [name for name in installation.members if name.split("-")[0] == kind]
    async with shoppers.selling():
        await asyncio.gather(*(installation.members[name].kill() for name in usual))
        for doom in DOOMS[kind]:
            doomed = installation.doomed_member(f"{kind}-doomed", doom)
            await doomed.start(ready=False)
            assert await doomed.ended() == -9, doom
        del installation.members[f"{kind}-doomed"]
        await asyncio.gather(*(installation.members[name].start() for name in usual))
        shoppers.fault_has_ended()

    await shoppers.all_is_well()
    await shoppers.acknowledgements_are_kept()
