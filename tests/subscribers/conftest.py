"""A subscriber on each kind of database, with leases that are short enough to be waited for."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from integration.rpc.rpc_service import open_service

from payments_service.event_log.consumer_surroundings import ConsumerLimits

from .group_scene import Group

LEASE = 1.2
LIMITS = ConsumerLimits(lease=LEASE, survey=0.2, impatient_survey=0.05, floors=0.05, drain=5.0)


@pytest.fixture
async def patient_group(database_url: str, tmp_path: Path) -> AsyncIterator[Group]:
    """Give one whose members may be silent for as long as a busy machine makes them."""
    limits = replace(LIMITS, lease=60.0)
    async with open_service(tmp_path, database_url=database_url, limits=limits) as service:
        yield Group(service)


@pytest.fixture
async def group(database_url: str, tmp_path: Path) -> AsyncIterator[Group]:
    async with open_service(tmp_path, database_url=database_url, limits=LIMITS) as service:
        yield Group(service)
