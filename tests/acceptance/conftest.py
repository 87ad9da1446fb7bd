"""A shop in front of the whole service, for each test its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .shop import Shop, open_shop, settings_in


@pytest.fixture
async def shop(tmp_path: Path, database_url: str) -> AsyncIterator[Shop]:
    async with open_shop(settings_in(tmp_path, database_url=database_url)) as opened:
        yield opened
