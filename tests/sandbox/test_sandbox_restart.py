"""A restart keeps everything: objects, time, faults, idempotency keys, and what is still to be delivered."""

import asyncio
import dataclasses
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import stripe

from stripe_sandbox.configuration import SandboxConfig, SandboxRefusedError
from stripe_sandbox.sandbox_server import open_sandbox

from .sandbox_driver import KEY, Controls, course
from .webhook_receiver import WebhookReceiver

# A process of its own, so that it can be killed; nothing answers its webhooks.
_SERVE = """
import asyncio, sys
from pathlib import Path
from stripe_sandbox.configuration import SandboxConfig
from stripe_sandbox.sandbox_server import open_sandbox

async def main():
    webhooks = {"webhook_url": "http://127.0.0.1:9/closed", "webhook_secrets": ("whsec_x",)}
    async with open_sandbox(SandboxConfig(port=0, database=Path(sys.argv[1]), **webhooks)) as sandbox:
        print(sandbox.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def _running(config: SandboxConfig) -> AsyncIterator[tuple[stripe.StripeClient, Controls]]:
    async with open_sandbox(config) as sandbox, aiohttp.ClientSession() as http:
        transport = stripe.AIOHTTPClient(session=http)
        yield (
            stripe.StripeClient(KEY, base_addresses={"api": sandbox.url}, http_client=transport),
            Controls(http, sandbox.url),
        )


async def test_a_restart_keeps_sessions_time_faults_and_keys(config: SandboxConfig) -> None:
    async with _running(config) as (client, controls):
        made = await client.v1.checkout.sessions.create_async(course(), {"idempotency_key": "k"})
        await controls.call("POST", "clock", {"advance_seconds": 500})
        await controls.faults(webhooks={"drop": 0.5})
    async with _running(config) as (client, controls):
        again = await client.v1.checkout.sessions.create_async(course(), {"idempotency_key": "k"})
        assert again.id == made.id
        read = await client.v1.checkout.sessions.retrieve_async(made.id)
        assert read.url == f"{controls.url}/pay/{made.id}"
        assert (await controls.call("GET", "clock"))["offset_seconds"] == 500
        assert (await controls.call("GET", "faults"))["webhooks"]["drop"] == 0.5


async def test_what_was_not_delivered_is_delivered_after_a_restart(
    config: SandboxConfig, receiver: WebhookReceiver
) -> None:
    nowhere = dataclasses.replace(config, webhook_url="http://127.0.0.1:9/closed", retry_schedule=(0.01,) * 1000)
    async with _running(nowhere) as (client, controls):
        session = await client.v1.checkout.sessions.create_async(course())
        await controls.move(session.id, "pay")
    async with _running(config):
        await receiver.until_types("checkout.session.completed", "charge.succeeded")


async def test_a_killed_sandbox_comes_back_with_all_that_it_answered(
    config: SandboxConfig, receiver: WebhookReceiver, http: aiohttp.ClientSession
) -> None:
    command = [sys.executable, "-c", _SERVE, str(config.database)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    transport = stripe.AIOHTTPClient(session=http)
    client = stripe.StripeClient(KEY, base_addresses={"api": url}, http_client=transport)
    made = [await client.v1.checkout.sessions.create_async(course(), {"idempotency_key": f"k{n}"}) for n in range(20)]
    await Controls(http, url).move(made[0].id, "pay")
    process.kill()
    await process.wait()
    async with _running(config) as (client, _):
        for number, session in enumerate(made):
            again = await client.v1.checkout.sessions.create_async(course(), {"idempotency_key": f"k{number}"})
            assert again.id == session.id
        assert (await client.v1.checkout.sessions.retrieve_async(made[0].id)).status == "complete"
        await receiver.until_types("checkout.session.completed")


async def test_a_file_of_another_version_is_refused_with_what_to_do(config: SandboxConfig) -> None:
    async with open_sandbox(config):
        pass
    other = sqlite3.connect(config.database)
    other.execute("PRAGMA user_version = 1")
    other.close()
    with pytest.raises(SandboxRefusedError, match=r"another version of the sandbox .* delete it"):
        async with open_sandbox(config):
            pass


async def test_it_stops_within_two_seconds_though_a_webhook_hangs(
    config: SandboxConfig, receiver: WebhookReceiver
) -> None:
    receiver.gate.clear()
    async with open_sandbox(config) as sandbox, aiohttp.ClientSession() as http:
        await Controls(http, sandbox.url).call("POST", "events", {"type": "a.b", "object": {}})
        await receiver.until_types("a.b")
        begun = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begun < 2


async def test_it_stops_within_two_seconds_though_a_buyer_waits(
    config: SandboxConfig, receiver: WebhookReceiver
) -> None:
    receiver.gate.clear()
    async with aiohttp.ClientSession() as http:
        async with open_sandbox(config) as sandbox:
            transport = stripe.AIOHTTPClient(session=http)
            client = stripe.StripeClient(KEY, base_addresses={"api": sandbox.url}, http_client=transport)
            session = await client.v1.checkout.sessions.create_async(course())
            paying = asyncio.create_task(http.post(str(session.url), data={"action": "pay"}))
            await receiver.until_types("checkout.session.completed")
            begun = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - begun < 2
        await asyncio.gather(paying, return_exceptions=True)


async def test_two_sandboxes_do_not_share_a_database(config: SandboxConfig) -> None:
    async with open_sandbox(config):
        with pytest.raises(SandboxRefusedError, match="PAYMENTS_SANDBOX_DATABASE"):
            async with open_sandbox(config):
                pass


async def test_a_port_that_is_taken_is_named(config: SandboxConfig, tmp_path: Path) -> None:
    async with open_sandbox(config) as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        taken = dataclasses.replace(config, port=port, database=tmp_path / "other.db")
        with pytest.raises(SandboxRefusedError, match=str(port)):
            async with open_sandbox(taken):
                pass


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::", "example.com"])  # noqa: S104
def test_it_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(SandboxRefusedError, match="loopback"):
        SandboxConfig(host=host)
