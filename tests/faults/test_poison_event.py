"""An event that kills its process each time it is worked on is FAILED after its attempts; the others are unharmed."""

import asyncio

import pytest

from .conftest import LONG
from .installation import Member
from .scene import Scene

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("frozen"),
]
FAILED = 5
ATTEMPTS = 12
PATIENCE = 600
IS_STORED = "SELECT 1 FROM stripe_events WHERE stripe_event_id = $1"
USE_UP = "UPDATE stripe_events SET attempts = 11 WHERE stripe_event_id = $1"
OUTCOME = "SELECT state, attempts FROM stripe_events WHERE stripe_event_id = $1"
PRODUCT = {"type": "product.created", "object": {"id": "prod_poison"}}


async def test_an_event_that_kills_whoever_works_on_it_fails_and_harms_no_other(shared_scene: Scene) -> None:
    installation, shoppers = shared_scene.installation, shared_scene.shoppers
    usual = [installation.members[name] for name in ("worker", "worker-2")]
    await asyncio.gather(*(member.kill() for member in usual))
    poison = (await installation.sandbox("POST", "events", PRODUCT))["id"]
    await until(shared_scene, IS_STORED, poison, (1,))
    if not LONG:
        # All attempts but the last are said to be used up: each costs the lease of whoever died of it.
        await on_event(shared_scene, USE_UP, poison)
    deaths: list[int] = []
    doomed = [installation.doomed_member(f"worker-poisoned{number}", "at-events-of:prod_poison") for number in range(2)]
    supervising = [asyncio.create_task(supervise(member, deaths)) for member in doomed]
    await shoppers.sell_many(6)
    shoppers.fault_has_ended()

    await until(shared_scene, OUTCOME, poison, (FAILED, ATTEMPTS + 1))
    assert len(deaths) == (ATTEMPTS if LONG else 1)
    await shoppers.all_is_well(PATIENCE)
    for task in supervising:
        task.cancel()
    await asyncio.gather(*supervising, return_exceptions=True)
    await asyncio.gather(*(member.stop() for member in doomed))
    await asyncio.gather(*(member.start() for member in usual))


async def supervise(member: Member, deaths: list[int]) -> None:
    """Start it again whenever it has died."""
    while True:
        await member.start(ready=False)
        assert member.process is not None
        deaths.append(await member.process.wait())


async def until(scene: Scene, statement: str, event_id: str, wanted: tuple[object, ...]) -> None:
    async with asyncio.timeout(PATIENCE):
        while await on_event(scene, statement, event_id) != [wanted]:  # noqa: ASYNC110  # it is in the database
            await asyncio.sleep(0.1)


async def on_event(scene: Scene, statement: str, event_id: str) -> list[tuple[object, ...]]:
    name = scene.installation.database_url.rpartition("/")[2]
    return await scene.server.run(statement, event_id, database=name)
