"""A sandbox on a free port with its own database, a verified receiver of webhooks, and Stripe's own client."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import stripe

from stripe_sandbox.configuration import SandboxConfig
from stripe_sandbox.sandbox_server import Sandbox, open_sandbox

from .sandbox_driver import KEY, Controls
from .webhook_receiver import SECRET, WebhookReceiver, open_receiver


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with open_receiver() as opened:
        yield opened


@pytest.fixture
def config(tmp_path: Path, receiver: WebhookReceiver) -> SandboxConfig:
    return SandboxConfig(
        port=0,
        database=tmp_path / "sandbox.db",
        webhook_url=receiver.url,
        webhook_secrets=(SECRET, "whsec_older"),
        retry_schedule=(0.02, 0.05, 3600.0),
    )


@pytest.fixture
async def sandbox(config: SandboxConfig) -> AsyncIterator[Sandbox]:
    async with open_sandbox(config) as opened:
        yield opened


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def controls(sandbox: Sandbox, http: aiohttp.ClientSession) -> Controls:
    return Controls(http, sandbox.url)


@pytest.fixture
async def client(sandbox: Sandbox, http: aiohttp.ClientSession) -> stripe.StripeClient:
    transport = stripe.AIOHTTPClient(session=http)
    return stripe.StripeClient(KEY, base_addresses={"api": sandbox.url}, http_client=transport, max_network_retries=0)
