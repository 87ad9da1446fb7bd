"""An HTTP server that answers each request as the script says: whole, broken off, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class ScriptedServer:
    """What it will say, and what it has heard."""

    replies: list[bytes]
    url: str = ""
    heard: list[str] = field(default_factory=list)
    closes_after: int = 1_000
    """Requests after which nothing listens there any more."""


def reply(status: str, body: str, content_type: str = "application/json") -> bytes:
    """Write a whole reply."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return (head + body).encode()


@asynccontextmanager
async def open_scripted_server(*replies: bytes, closes_after: int = 1_000) -> AsyncIterator[ScriptedServer]:
    """Serve; after its last reply it repeats that one."""
    script = ScriptedServer(list(replies), closes_after=closes_after)
    server: asyncio.Server | None = None

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script.heard.append(await _request(reader))
        number = min(len(script.heard), len(script.replies)) - 1
        if server is not None and len(script.heard) >= script.closes_after:
            server.close()
        writer.write(script.replies[number])
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield script
    finally:
        server.close()
        await server.wait_closed()


async def _request(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    sizes = [line.split(":")[1] for line in head.splitlines() if line.lower().startswith("content-length:")]
    body = await reader.readexactly(int(sizes[0])) if sizes else b""
    return head + body.decode()
