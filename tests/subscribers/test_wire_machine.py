"""A group of real processes over real gRPC, killed and frozen by chance: on each database the promises hold."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from event_log.log_scene import open_scene

from payments_service.storage.database import open_database
from payments_service.storage.schema import migrate

from .wire_machine import WireMachine

LONG = bool(os.environ.get("PAYMENTS_TEST_LONG"))


@pytest.fixture
async def machine(database_url: str, tmp_path: Path, seed: int) -> AsyncIterator[WireMachine]:
    async with open_database(database_url) as database:
        await migrate(database)
    is_sqlite = database_url.startswith("sqlite")
    place = Path(database_url.partition("///")[2]) if is_sqlite else database_url
    async with open_scene(place) as scene:
        machine = WireMachine(scene, database_url, tmp_path, servers=1 if is_sqlite else 2, seed=seed)
        try:
            yield machine
        finally:
            await machine.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(5 if LONG else 1))
async def test_a_group_of_processes_keeps_its_promises_whatever_is_killed(machine: WireMachine) -> None:
    await machine.run(rounds=6 if LONG else 1)

    await machine.finish()
    assert len(machine.happened) == 6, machine.happened
