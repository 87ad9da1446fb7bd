"""A service of canned answers, and the command that calls it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .canned_service import CannedService, open_canned
from .command_line import CommandLine


@pytest.fixture
async def service() -> CannedService:
    return CannedService()


@pytest.fixture
async def address(service: CannedService) -> AsyncIterator[str]:
    async with open_canned(service) as address:
        yield address


@pytest.fixture
def payments(address: str, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, target=address)
