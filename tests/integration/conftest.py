"""The stages over a database of each test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .stages import Stages, open_stages


@pytest.fixture
async def stages(tmp_path: Path) -> AsyncIterator[Stages]:
    async with open_stages(tmp_path) as opened:
        yield opened
