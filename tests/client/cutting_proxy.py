"""A TCP proxy that cuts its connections after so many bytes, as networks do, without a word."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK = 512


class CuttingProxy:
    """Counts what it cut; stops cutting when it is told to."""

    def __init__(self, target: str, seed: int, most_bytes: int) -> None:
        """Take where to connect to, and after how many bytes of answers to cut at most."""
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._random = random.Random(seed)  # noqa: S311  # chooses where to cut
        self._most_bytes = most_bytes
        self.address = ""
        self.cuts = 0
        self.is_cutting = True
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on until it is to be cut."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection(self._host, self._port)
            sending = asyncio.create_task(_pump(reader, back, None))
            budget = self._random.randint(CHUNK, self._most_bytes) if self.is_cutting else None
            try:
                self.cuts += await _pump(there, writer, budget)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                await _abort(back)
        finally:
            await _abort(writer)
            self._tasks.discard(task)

    async def close(self) -> None:
        """End all connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int | None) -> bool:
    """Copy until the end or until the budget is spent; tells whether it was spent."""
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
            if budget is not None:
                budget -= len(data)
                if budget < 0:
                    return True
    return False


@asynccontextmanager
async def open_proxy(target: str, seed: int, most_bytes: int) -> AsyncIterator[CuttingProxy]:
    """Listen until the context ends."""
    proxy = CuttingProxy(target, seed, most_bytes)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    proxy.address = f"{host}:{port}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
