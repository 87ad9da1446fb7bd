"""One bridge a test, over a database of its own."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .bridge_driver import Driver, Inbox, NotedWaker, make_template, open_driver, open_inbox
from .buyer import Buyer, open_buyer


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "payments.db"
    asyncio.run(make_template(file))
    return file


@pytest.fixture
async def inbox(tmp_path: Path, template: Path) -> AsyncIterator[Inbox]:
    file = tmp_path / "payments.db"
    shutil.copy(template, file)
    async with open_inbox(file) as opened:
        yield opened


@pytest.fixture
def waker() -> NotedWaker:
    return NotedWaker()


@pytest.fixture
async def driver(inbox: Inbox, waker: NotedWaker) -> AsyncIterator[Driver]:
    async with open_driver(inbox, waker) as opened:
        yield opened


@pytest.fixture
async def buyer(tmp_path: Path) -> AsyncIterator[Buyer]:
    async with open_buyer(tmp_path) as opened:
        yield opened
