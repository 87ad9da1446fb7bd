"""Keeps a number of worker processes alive: each is started afresh, never forked, and ends when this one does.

It opens nothing of the service, so nothing of the service can bring it down. Its /metrics are those of its processes,
each of which serves its own on a free port of loopback.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

import structlog

from payments_service.cli.lifeline import LAST_SECONDS
from payments_service.errors import ConfigurationError
from payments_service.monitoring.metrics_endpoint import metrics_notice
from payments_service.monitoring.worker_merge import WorkerProcesses, open_worker_metrics
from payments_service.observability.logs import configure_logs
from payments_service.settings import Settings

METRICS = "PAYMENTS_METRICS_ADDRESS"
FIRST_SECONDS = 0.2
CAP_SECONDS = 10.0
STEADY_SECONDS = 30.0
"""A process that lived for so long is started again at once."""
_log = structlog.get_logger(__name__)


def supervise_workers(settings: Settings, *, as_json: bool) -> None:
    """Run until a signal; raises ConfigurationError where no process could ever start."""
    configure_logs(settings.log_format)
    asyncio.run(_supervise(settings, as_json=as_json))


async def _supervise(settings: Settings, *, as_json: bool) -> None:
    processes = WorkerProcesses(settings.worker_processes)
    async with AsyncExitStack() as stack:
        url = ""
        if settings.metrics_address:
            url = await stack.enter_async_context(open_worker_metrics(settings.metrics_address, processes))

        def announce(first: dict[str, str]) -> None:
            _report(settings, {**first, "metrics_url": url}, as_json=as_json)

        await _Supervision(settings, processes, announce).run()


def _report(settings: Settings, running: dict[str, str], *, as_json: bool) -> None:
    """Report once, when all are at work; in JSON it is what the processes themselves report, with our address."""
    plain = f"Metrics: {metrics_notice(running['metrics_url'])}\n" if running["metrics_url"] else ""
    plain += f"Database: {running['database']}\nBroker: {running['broker']}\n"
    plain += f"Ready: {settings.worker_processes} processes at work\n"
    sys.stdout.write(json.dumps(running) + "\n" if as_json else plain)
    sys.stdout.flush()


async def _report_of(stdout: asyncio.StreamReader) -> dict[str, str] | None:
    """Read what a process reports when it is ready, and over what a plug-in may print before; None where it ends."""
    while line := await stdout.readline():
        with suppress(ValueError):
            report: dict[str, str] = json.loads(line)
            return report
    return None


class _Supervision:
    """The processes, by their places."""

    def __init__(
        self, settings: Settings, processes: WorkerProcesses, announce: Callable[[dict[str, str]], None]
    ) -> None:
        """Take where the metrics of the processes come together, and whom to tell when all of them are ready."""
        self._processes = processes
        self._metrics = {METRICS: "127.0.0.1:0" if settings.metrics_address else ""}
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
            self._processes.ended(place, was_told=self._stopping.is_set())
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
            env=os.environ | self._metrics,
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
        first = await _report_of(child.stdout)
        if first is None:
            return
        self._processes.began(place, first["metrics_url"])
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
