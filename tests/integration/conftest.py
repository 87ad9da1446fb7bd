"""The stages over a database of each test's own, of each kind that there is."""

from collections.abc import AsyncIterator

import pytest

from .stages import Stages, open_stages


@pytest.fixture
async def stages(database_url: str) -> AsyncIterator[Stages]:
    async with open_stages(database_url) as opened:
        yield opened
