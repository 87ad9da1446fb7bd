"""Keeps a number of worker processes alive: each is started afresh, never forked, and ends when this one does.

It opens nothing of the service, so nothing of the service can bring it down.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

import structlog

from payments_service.cli.lifeline import LAST_SECONDS
from payments_service.errors import ConfigurationError
from payments_service.observability.logs import configure_logs
from payments_service.settings import Settings

FIRST_SECONDS = 0.2
CAP_SECONDS = 10.0
STEADY_SECONDS = 30.0
"""A process that lived for so long is started again at once."""
_log = structlog.get_logger(__name__)


def supervise_workers(settings: Settings, *, as_json: bool) -> None:
    """Run until a signal; raises ConfigurationError where no process could ever start."""
    configure_logs(settings.log_format)
    asyncio.run(_Supervision(settings, lambda first: _report(settings, first, as_json=as_json)).run())


def _report(settings: Settings, first: str, *, as_json: bool) -> None:
    """Report once, when all are at work; in JSON it is what the processes themselves report."""
    running = json.loads(first)
    plain = f"Database: {running['database']}\nBroker: {running['broker']}\n"
    plain += f"Ready: {settings.worker_processes} processes at work\n"
    sys.stdout.write(first if as_json else plain)
    sys.stdout.flush()


class _Supervision:
    """The processes, by their places."""

    def __init__(self, settings: Settings, announce: Callable[[str], None]) -> None:
        """Take whom to tell when all of them are ready."""
        self._count = settings.worker_processes
        self._threads = settings.worker_threads
        self._announce = announce
        self._ready: set[int] = set()
        self._announced = False
        self._stopping = asyncio.Event()
        self._children: dict[int, asyncio.subprocess.Process] = {}

    async def run(self) -> None:
        """Keep each place filled; a second signal does not wait."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        try:
            async with asyncio.TaskGroup() as places:
                for place in range(self._count):
                    places.create_task(self._keep(place))
        except* ConfigurationError as errors:
            raise errors.exceptions[0] from None
        _log.info("workers.stopped")

    def _stop(self) -> None:
        how = signal.SIGKILL if self._stopping.is_set() else signal.SIGTERM
        _log.info("workers.stopping", signal=how.name)
        self._stopping.set()
        for child in self._children.values():
            with suppress(ProcessLookupError):
                child.send_signal(how)

    async def _keep(self, place: int) -> None:
        wait = FIRST_SECONDS
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            code = await self._live(place)
            if self._stopping.is_set():
                return
            if not self._ready:
                raise ConfigurationError("A worker's process could not start; it has said why.")
            wait = FIRST_SECONDS if asyncio.get_running_loop().time() - began > STEADY_SECONDS else wait
            _log.warning("worker.ended", place=place, code=code, again_in_seconds=wait)
            await self._rest(wait)
            wait = min(wait * 2, CAP_SECONDS)

    async def _live(self, place: int) -> int:
        """Start a process and see it to its end."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "payments_service", "worker", "--json", "--lifeline"),
            *("--processes", "1", "--threads", str(self._threads)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._children[place] = child
        if self._stopping.is_set():
            child.terminate()
        try:
            await self._hear(place, child)
            return await self._end_of(child)
        finally:
            if child.returncode is None:
                child.kill()
            del self._children[place]

    async def _hear(self, place: int, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None  # noqa: S101  # it was asked for
        first = (await child.stdout.readline()).decode()
        if not first:
            return
        _log.info("worker.ready", place=place, pid=child.pid)
        self._ready.add(place)
        if len(self._ready) == self._count and not self._announced:
            self._announced = True
            self._announce(first)

    async def _end_of(self, child: asyncio.subprocess.Process) -> int:
        ended = asyncio.create_task(child.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await asyncio.wait({ended}, timeout=LAST_SECONDS)
        if not ended.done():
            _log.error("worker.killed", pid=child.pid, after_seconds=LAST_SECONDS)
            child.kill()
        return await ended

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
