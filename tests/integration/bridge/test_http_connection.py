"""HTTP/1.1 as clients speak it, well and badly: answers come whole and in order, and the connection ends in order."""

import asyncio
import contextlib
import json
import shutil
import subprocess
from http import HTTPStatus

import pytest

from webhook_bridge.open_connections import MAX_CONNECTIONS

from .bridge_driver import WAIT_SECONDS, Driver, Inbox, NotedWaker, open_driver, raw_request, signed, stripe_event

ALIVE = b"GET /healthz HTTP/1.1\r\nHost: bridge\r\n"
TOO_MUCH_HEAD = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
HEAD = b"POST /webhooks/stripe HTTP/1.1\r\nHost: bridge\r\n"


def delivery(stripe_event_id: str, *headers: str) -> bytes:
    payload = json.dumps(stripe_event(id=stripe_event_id)).encode()
    return raw_request(payload, f"Stripe-Signature: {signed(payload)}", f"Content-Length: {len(payload)}", *headers)


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read one answer of a connection that stays open."""
    async with asyncio.timeout(WAIT_SECONDS):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def test_one_connection_carries_many_requests(driver: Driver) -> None:
    reader, writer = await driver.connect()
    for _ in range(3):
        writer.write(ALIVE + b"\r\n")
        status, headers, _body = await read_answer(reader)
        assert (status, "connection" in headers, "date" in headers) == (200, False, True)
    writer.close()


@pytest.mark.parametrize(("version", "header"), [("1.1", b"Connection: close\r\n"), ("1.0", b"")])
async def test_a_client_that_wants_no_more_is_let_go(driver: Driver, version: str, header: bytes) -> None:
    answer = await driver.exchange(ALIVE.replace(b"1.1", version.encode()) + header + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close\r\n" in answer


async def test_requests_that_come_at_once_are_answered_in_order(driver: Driver) -> None:
    answer = await driver.exchange(ALIVE + b"\r\n" + b"GET /nothing HTTP/1.1\r\n\r\n" + delivery("evt_piped"))

    statuses = [line.split()[1] for line in answer.splitlines() if line.startswith(b"HTTP/1.1 ")]
    assert statuses == [b"200", b"404", b"200"]
    assert await driver.inbox.ids() == {"evt_piped"}


async def test_more_requests_at_once_than_anybody_needs_are_refused(driver: Driver) -> None:
    answer = await driver.exchange((ALIVE + b"\r\n") * 100)

    assert answer.startswith(b"HTTP/1.1 429 ")


async def test_a_head_is_answered_without_a_body_and_what_follows_is_understood(driver: Driver) -> None:
    reader, writer = await driver.connect()
    writer.write(b"HEAD /healthz HTTP/1.1\r\n\r\n" + ALIVE + b"Connection: close\r\n\r\n")
    async with asyncio.timeout(WAIT_SECONDS):
        answers = await reader.read()
    writer.close()

    first, _, second = answers.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert second.startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_asks_first_may_send_its_body(driver: Driver) -> None:
    request = delivery("evt_asked", "Expect: 100-continue")
    head, _, payload = request.partition(b"\r\n\r\n")
    reader, writer = await driver.connect()
    writer.write(head + b"\r\n\r\n")
    async with asyncio.timeout(WAIT_SECONDS):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(payload)
    assert (await read_answer(reader))[0] == 200
    writer.close()


async def test_a_client_that_has_said_all_and_closed_its_side_is_answered(driver: Driver) -> None:
    reader, writer = await driver.connect()
    writer.write(delivery("evt_half"))
    writer.write_eof()
    assert (await read_answer(reader))[0] == 200
    writer.close()


async def test_a_wish_for_another_protocol_is_passed_over_or_with_a_body_refused(driver: Driver) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n"

    assert (await driver.exchange(ALIVE + upgrade)).startswith(b"HTTP/1.1 200 ")
    assert (await driver.exchange(HEAD + b"Content-Length: 2\r\n" + upgrade + b"{}")).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"CONNECT bridge:443 HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET http:// HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET /\xff HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", HTTPStatus.BAD_REQUEST),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n", HTTPStatus.REQUEST_TIMEOUT),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 30_000, TOO_MUCH_HEAD),
        (ALIVE + b"a: b\r\n" * 30_000 + b"\r\n", TOO_MUCH_HEAD),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", TOO_MUCH_HEAD),
    ],
    ids=["connect", "no host", "not ASCII", "length", "coding", "chunk", "huge chunk", "trailers", "headers", "path"],
)  # fmt: skip
async def test_what_cannot_be_read_is_refused_and_the_connection_ends(
    inbox: Inbox, waker: NotedWaker, request_bytes: bytes, status: HTTPStatus
) -> None:
    async with open_driver(inbox, waker, request_seconds=0.3) as driver:
        answer = await driver.exchange(request_bytes)

    assert int(answer.split()[1]) == status
    assert await inbox.ids() == set()


async def test_noise_after_a_webhook_does_not_take_its_answer_away(driver: Driver) -> None:
    answer = await driver.exchange(delivery("evt_first").replace(b"Connection: close\r\n", b"") + b"\x00noise\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ") == (await driver.inbox.ids() == {"evt_first"})


async def test_a_crowd_is_turned_away_and_room_is_there_again_when_it_leaves(driver: Driver) -> None:
    crowd = [await driver.connect() for _ in range(MAX_CONNECTIONS)]
    assert (await driver.exchange(ALIVE + b"\r\n")).startswith(b"HTTP/1.1 503 ")
    for _, writer in crowd:
        writer.close()

    async with asyncio.timeout(WAIT_SECONDS):
        while not (await driver.exchange(ALIVE + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 "):
            pass


async def test_clients_that_break_off_leave_nothing_behind(inbox: Inbox, waker: NotedWaker) -> None:
    async with asyncio.timeout(5):
        async with open_driver(inbox, waker) as driver:
            for number in range(30):
                _, writer = await driver.connect()
                writer.write(delivery(f"evt_{number}")[: 100 + 20 * number])
                await writer.drain()
                writer.transport.abort()
            await driver.get("/healthz")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("option", ["--http1.1", "--http1.0", "--tr-encoding", "--compressed"])
async def test_curl_is_understood(driver: Driver, option: str) -> None:
    payload = json.dumps(stripe_event(id="evt_curl")).encode()
    command = ["curl", "--silent", option, "--data-binary", "@-", "--header", f"Stripe-Signature: {signed(payload)}"]
    process = await asyncio.create_subprocess_exec(*command, driver.url, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with contextlib.closing(process._transport):  # type: ignore[attr-defined]
        out, _ = await process.communicate(payload)

    assert out == b'{"received":true}\n'
    assert await driver.inbox.ids() == {"evt_curl"}
