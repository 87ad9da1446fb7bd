"""Whoever sends slowly, endlessly or nonsense is cut off in time, and costs those who send well nothing."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator

import pytest

from .bridge_driver import WAIT_SECONDS, Driver, Inbox, NotedWaker, open_driver, raw_request, signed, stripe_event

HASTE = 0.3
HEAD = b"POST /webhooks/stripe HTTP/1.1\r\nHost: bridge\r\n"


@pytest.fixture
async def hasty(inbox: Inbox, waker: NotedWaker) -> AsyncIterator[Driver]:
    async with open_driver(inbox, waker, request_seconds=HASTE) as opened:
        yield opened


async def answer_to(driver: Driver, begin: bytes, then: bytes = b"") -> bytes:
    """Send a beginning, then something again and again, until the bridge hangs up; gives what it said."""
    reader, writer = await driver.connect()
    writer.write(begin)
    listening = asyncio.create_task(reader.read())
    async with asyncio.timeout(WAIT_SECONDS):
        while then and not listening.done():
            await asyncio.wait([listening], timeout=0.01)
            with contextlib.suppress(ConnectionError):
                writer.write(then)
                await writer.drain()
        try:
            return await listening
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


async def test_a_silent_connection_is_closed(hasty: Driver) -> None:
    assert await answer_to(hasty, b"") == b""


@pytest.mark.parametrize(
    ("begin", "then"),
    [
        (HEAD, b""),
        (HEAD, b"X-Drip: 1\r\n"),
        (HEAD + b"X-Drip: ", b"1"),
        (HEAD + b"Content-Length: 100\r\n\r\n{", b""),
        (HEAD + b"Content-Length: 100000\r\n\r\n{", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
    ],
    ids=["half head", "dripping headers", "dripping header", "half body", "dripping body", "dripping chunks"],
)
async def test_a_request_that_is_not_finished_in_time_is_cut_off_with_408(
    hasty: Driver, begin: bytes, then: bytes
) -> None:
    answer = await answer_to(hasty, begin, then)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"not complete within 0.3 s" in answer
    assert await hasty.inbox.ids() == set()


async def test_an_endless_body_is_refused_at_the_cap_and_then_cut_off(hasty: Driver) -> None:
    answer = await answer_to(hasty, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n")

    assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")


async def test_noise_between_two_requests_does_not_hold_a_connection(hasty: Driver) -> None:
    answer = await answer_to(hasty, b"GET /healthz HTTP/1.1\r\nHost: bridge\r\n\r\n", b"\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_headers_without_end_are_refused(driver: Driver) -> None:
    answer = await answer_to(driver, HEAD, b"X-Long: " + b"x" * 20_000 + b"\r\n")

    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"hello\r\n\r\n", b"GET / HTTP/9\r\n\r\n"]
)
async def test_what_is_not_http_is_refused(driver: Driver, noise: bytes) -> None:
    assert (await answer_to(driver, noise)).startswith(b"HTTP/1.1 400 ")


async def test_who_asks_and_never_reads_is_dropped(hasty: Driver) -> None:
    request = b"GET /checkout/cancelled HTTP/1.1\r\nHost: bridge\r\n\r\n" * 200
    reader, writer = await hasty.connect()
    reader._transport.pause_reading()  # type: ignore[attr-defined]  # the client that never reads
    async with asyncio.timeout(WAIT_SECONDS):
        with contextlib.suppress(ConnectionError):
            while not writer.transport.is_closing():
                writer.write(request)
                await writer.drain()
    writer.close()


async def test_two_hundred_slow_senders_are_gone_in_ten_seconds_and_delay_nobody(driver: Driver) -> None:
    begun = time.monotonic()
    slow = [asyncio.create_task(answer_to(driver, HEAD + b"Content-Length: 100\r\n\r\n{", b"")) for _ in range(200)]
    slowest = 0.0
    while not all(task.done() for task in slow):
        asked = time.monotonic()
        assert (await driver.deliver(stripe_event()))[0] == 200
        slowest = max(slowest, time.monotonic() - asked)
        await asyncio.wait(slow, timeout=0.1)

    assert time.monotonic() - begun < 10
    assert slowest < 1
    assert {task.result().partition(b"\r\n")[0] for task in slow} == {b"HTTP/1.1 408 Request Timeout"}


async def test_a_slow_sender_that_finishes_in_time_is_stored(driver: Driver) -> None:
    event = stripe_event()
    payload = json.dumps(event).encode()
    request = raw_request(payload, f"Stripe-Signature: {signed(payload)}", f"Content-Length: {len(payload)}")
    reader, writer = await driver.connect()
    for start in range(0, len(request), 40):
        writer.write(request[start : start + 40])
        await writer.drain()
        await asyncio.sleep(0.001)
    async with asyncio.timeout(WAIT_SECONDS):
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    assert await driver.inbox.ids() == {event["id"]}
