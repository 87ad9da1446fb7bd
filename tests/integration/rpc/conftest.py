"""A service with the usual callers, with Stripe out of reach or played by the sandbox."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stripe_sandbox.configuration import SandboxConfig
from stripe_sandbox.sandbox_server import Sandbox, open_sandbox

from .rpc_service import RpcService, open_service


@pytest.fixture
async def service(tmp_path: Path, database_url: str) -> AsyncIterator[RpcService]:
    async with open_service(tmp_path, database_url=database_url) as opened:
        yield opened


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with open_sandbox(SandboxConfig(port=0, database=tmp_path / "sandbox.db")) as opened:
        yield opened


@pytest.fixture
async def selling(tmp_path: Path, sandbox: Sandbox, database_url: str) -> AsyncIterator[RpcService]:
    """A service that sells by the sandbox."""
    async with open_service(tmp_path, stripe=sandbox.url, database_url=database_url) as opened:
        yield opened
