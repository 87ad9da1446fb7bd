"""A group of real sessions on each database: whatever happens to its members, the promises hold."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from event_log.log_scene import Scene, open_scene

from payments_service.storage.database import open_database
from payments_service.storage.schema import migrate

from .group_machine import GroupMachine

LONG = bool(os.environ.get("PAYMENTS_TEST_LONG"))


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    async with open_database(database_url) as database:
        await migrate(database)
    place = Path(database_url.partition("///")[2]) if database_url.startswith("sqlite") else database_url
    async with open_scene(place) as opened:
        yield opened


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(10 if LONG else 1))
async def test_a_group_keeps_its_promises_whatever_happens(scene: Scene, seed: int) -> None:
    machine = GroupMachine(scene, seed)

    await machine.run(25.0 if LONG else 4.0)

    await machine.finish()
    assert machine.crashes
    assert machine.zombies
