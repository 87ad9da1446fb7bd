"""A bridge starts where it is told or says why not, tells whether it could store, and ends without losing an answer."""

import asyncio
import json
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import aiohttp
import pytest

from payments_service.errors import ConfigurationError

from .bridge_driver import WAIT_SECONDS, Driver, Inbox, NotedWaker, open_driver, raw_request, signed
from .bridge_driver import stripe_event as an_event


async def test_a_bridge_that_runs_is_alive_and_ready(driver: Driver) -> None:
    assert await driver.get("/healthz") == (200, '{"status":"alive"}\n')
    assert await driver.get("/readyz") == (200, '{"status":"ready"}\n')
    assert await driver.inbox.ids() == set()
    async with driver.http.head(f"{driver.bridge.url}/healthz") as reply:
        assert (reply.status, await reply.read()) == (200, b"")


async def test_a_bridge_whose_database_is_away_is_alive_and_not_ready_until_it_is_back(driver: Driver) -> None:
    with driver.inbox.away():
        status, text = await driver.get("/readyz")
        assert (status, "could not be stored" in text) == (503, True)
        assert (await driver.get("/healthz"))[0] == 200
    async with asyncio.timeout(WAIT_SECONDS):
        while (await driver.get("/readyz"))[0] != 200:
            pass


async def test_a_bridge_that_drains_is_not_ready_and_still_stores(driver: Driver) -> None:
    driver.bridge.drain()

    assert (await driver.get("/readyz"))[0] == 503
    assert (await driver.deliver(an_event()))[0] == 200


async def test_many_probes_at_once_are_one_question_to_the_database(driver: Driver) -> None:
    before = driver.inbox.commits

    answers = await asyncio.gather(*(driver.get("/readyz") for _ in range(50)))

    assert {status for status, _ in answers} == {200}
    assert driver.inbox.commits - before == 1


async def test_an_address_in_use_is_refused_by_the_name_of_its_setting(driver: Driver) -> None:
    port = urlsplit(driver.bridge.url).port or 0
    with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}: Address already in use.*PAYMENTS_BRIDGE_ADDRESS"):
        async with open_driver(driver.inbox, driver.waker, port=port):
            pass


async def test_a_request_under_way_is_answered_after_the_bridge_began_to_stop(inbox: Inbox) -> None:
    event = an_event()
    payload = json.dumps(event).encode()
    request = raw_request(payload, f"Stripe-Signature: {signed(payload)}", f"Content-Length: {len(payload)}")
    async with AsyncExitStack() as stack:
        driver = await stack.enter_async_context(open_driver(inbox, NotedWaker()))
        reader, writer = await driver.connect()
        writer.write(request[:-10])
        await driver.get("/healthz")
        async with asyncio.timeout(WAIT_SECONDS):
            stopping = asyncio.create_task(stack.aclose())
            while not await refuses(driver.bridge.url):
                pass
            writer.write(request[-10:])
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            await stopping
        writer.close()

    assert await inbox.ids() == {event["id"]}


async def test_an_answer_under_way_is_given_although_the_bridge_stops(inbox: Inbox) -> None:
    async with AsyncExitStack() as stack:
        driver = await stack.enter_async_context(open_driver(inbox, NotedWaker()))
        event = an_event()
        payload = json.dumps(event).encode()
        request = raw_request(payload, f"Stripe-Signature: {signed(payload)}", f"Content-Length: {len(payload)}")
        reader, writer = await driver.connect()
        async with asyncio.timeout(WAIT_SECONDS):
            with inbox.away():
                writer.write(request)
                await driver.get("/healthz")
                stopping = asyncio.create_task(stack.aclose())
                while not await refuses(driver.bridge.url):
                    pass
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            await stopping
        writer.close()

    assert await inbox.ids() == {event["id"]}


async def test_idle_and_unfinished_connections_do_not_hold_up_the_end(inbox: Inbox) -> None:
    async with AsyncExitStack() as stack:
        driver = await stack.enter_async_context(open_driver(inbox, NotedWaker()))
        silent, unfinished = await driver.connect(), await driver.connect()
        unfinished[1].write(b"POST /webhooks/stripe HTTP/1.1\r\nContent-Length: 5\r\n\r\n{")
        await driver.get("/healthz")
        async with asyncio.timeout(5):
            await stack.aclose()
        assert await silent[0].read() == b""
        assert (await unfinished[0].read()).startswith(b"HTTP/1.1 408 ")
        for _, writer in (silent, unfinished):
            writer.close()


async def test_webhooks_that_arrive_while_it_stops_are_answered_200_and_stored_or_not_at_all(inbox: Inbox) -> None:
    stored: set[str] = set()

    async def deliver(driver: Driver) -> None:
        event = an_event()
        try:
            status, _ = await driver.deliver(event)
        except aiohttp.ClientError:
            return
        assert status == 200
        stored.add(event["id"])

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http, AsyncExitStack() as stack:
        driver = await stack.enter_async_context(open_driver(inbox, NotedWaker()))
        driver.http, own = http, driver.http
        assert own is not http
        await deliver(driver)
        deliveries = [asyncio.create_task(deliver(driver)) for _ in range(100)]
        await asyncio.wait(deliveries, return_when=asyncio.FIRST_COMPLETED)
        await stack.aclose()
        await asyncio.gather(*deliveries)

    assert stored <= await inbox.ids()


async def refuses(url: str) -> bool:
    parts = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except ConnectionError:
        return True
    writer.close()
    return False
