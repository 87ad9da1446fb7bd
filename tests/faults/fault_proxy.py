"""A TCP proxy on one link that can be slow, cut, deaf or gone, for the connections that are and those that come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK = 65536


class FaultProxy:
    """Forwards to an address on loopback, and fails as it is told."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.port = 0
        self.latency = 0.0
        self.cut_after: int | None = None
        """How many more bytes pass before the connection that carries them is cut."""
        self.cut_replies_at: int | None = None
        """How many bytes of replies each connection carries before it is cut."""

    async def open(self) -> None:
        """Listen, again on the same port if it has listened before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Refuse connections, and cut those that are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset()

    def reset(self) -> None:
        """Cut all connections, so that the peers see a reset."""
        for writer in self._writers:
            writer.transport.abort()

    def black_hole(self) -> None:
        """Accept, and pass nothing on in any direction."""
        self._flowing.clear()

    def heal(self) -> None:
        """Pass everything on; what waited in a black hole goes on too."""
        self.latency, self.cut_after, self.cut_replies_at = 0.0, None, None
        self._flowing.set()

    async def close(self) -> None:
        """End for good."""
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._flowing.wait()
            with suppress(OSError):
                await self._connect(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._writers.add(their_writer)
        ways = [self._pump(reader, their_writer), self._pump(their_reader, writer, replies=True)]
        tasks = [asyncio.create_task(way) for way in ways]
        self._tasks.update(tasks)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._tasks.difference_update(tasks)
            for task in tasks:
                task.cancel()
            self._writers.discard(their_writer)
            their_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool = False) -> None:
        passed = 0
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await asyncio.sleep(self.latency)
                await self._flowing.wait()
                allowed = self._allowed(len(chunk), passed, replies=replies)
                writer.write(chunk[:allowed])
                await writer.drain()
                if allowed < len(chunk):
                    return
                passed += len(chunk)

    def _allowed(self, size: int, passed: int, *, replies: bool) -> int:
        """Say how much of a piece passes; after less than all of it the connection is cut."""
        if replies and self.cut_replies_at is not None:
            return max(0, min(size, self.cut_replies_at - passed))
        if self.cut_after is None:
            return size
        if size >= self.cut_after:
            allowed, self.cut_after = self.cut_after - 1, None
            return allowed
        self.cut_after -= size
        return size


@asynccontextmanager
async def proxying(target_port: int) -> AsyncIterator[FaultProxy]:
    """Run a proxy until the context ends."""
    proxy = FaultProxy(target_port)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
