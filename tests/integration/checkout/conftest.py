"""One shop a test: its database, its sandbox, and the three calls of the checkout."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .checkout_shop import Shop, open_shop


@pytest.fixture
async def shop(tmp_path: Path, database_url: str) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path, database_url) as opened:
        yield opened
