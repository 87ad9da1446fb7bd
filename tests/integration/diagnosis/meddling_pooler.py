"""Stands between a client and PostgreSQL as a pooler in transaction mode does: no settings, no notifications."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

SSL_REQUEST = 80877103
KEPT = {"user", "database"}
NOTIFICATION = b"A"


@asynccontextmanager
async def meddling_pooler(port: int) -> AsyncIterator[int]:
    """Give the port to connect to instead."""
    serving: set[asyncio.Task[None]] = set()

    def accept(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(_serve(client, answers, port)))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await asyncio.gather(*serving)


async def _serve(client: asyncio.StreamReader, answers: asyncio.StreamWriter, port: int) -> None:
    """Go between until both have closed."""
    server, requests = await asyncio.open_connection("127.0.0.1", port)
    try:
        requests.write(_without_settings(await _startup(client, answers)))
        await asyncio.gather(_relay(client, requests), _relay_messages(server, answers))
    finally:
        for writer in (requests, answers):
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def _startup(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> bytes:
    """Read the first message, after saying no to encryption."""
    while True:
        (length,) = struct.unpack("!I", await client.readexactly(4))
        body = await client.readexactly(length - 4)
        if struct.unpack("!I", body[:4])[0] != SSL_REQUEST:
            return body
        answers.write(b"N")


def _without_settings(body: bytes) -> bytes:
    words = body[4:].decode().split("\0")
    kept = [(name, value) for name, value in zip(words[::2], words[1::2], strict=False) if name in KEPT]
    parameters = "".join(f"{name}\0{value}\0" for name, value in kept).encode() + b"\0"
    return struct.pack("!I", 8 + len(parameters)) + body[:4] + parameters


async def _relay(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while part := await source.read(65536):
            target.write(part)
    target.close()


async def _relay_messages(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await source.readexactly(5)
            body = await source.readexactly(struct.unpack("!I", head[1:])[0] - 4)
            if head[:1] != NOTIFICATION:
                target.write(head + body)
    target.close()
