"""An empty log of each kind of database, copied from a template that is migrated once, and the process around it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .log_scene import LogPlace, Scene, make_log, open_scene


@pytest.fixture(scope="session")
def empty_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "empty.db"
    asyncio.run(make_log(path))
    return path


@pytest.fixture
def log_file(empty_log: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty_log, tmp_path / "payments.db"))


@pytest.fixture
def log_place(database_url: str, empty_log: Path, tmp_path: Path) -> LogPlace:
    """Give a log on each database."""
    if database_url.startswith("sqlite"):
        return Path(shutil.copy(empty_log, tmp_path / "payments.db"))
    return database_url


@pytest.fixture
async def scene(log_place: LogPlace) -> AsyncIterator[Scene]:
    async with open_scene(log_place) as opened:
        yield opened
