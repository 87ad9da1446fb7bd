"""Makes one scrape of a worker's processes: each is asked, and its series get the label of its place.

A process that is dead or does not answer is left out, so that none of its gauges outlives it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import aiohttp
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from payments_service.monitoring.metrics_endpoint import open_metrics_endpoint

SCRAPE_SECONDS = 4.0
"""More than a process takes whose database hangs, less than Prometheus has patience for."""
_log = structlog.get_logger(__name__)


class WorkerProcesses:
    """The processes that a supervisor keeps, by their places, and how often each has ended."""

    def __init__(self, wanted: int) -> None:
        """Take how many there are to be."""
        self._wanted = wanted
        self._urls: dict[int, str] = {}
        self.registry = CollectorRegistry()
        Gauge("payments_worker_processes_wanted", "How many there are to be.", registry=self.registry).set(wanted)
        ready = Gauge("payments_worker_processes_ready", "How many are at work.", registry=self.registry)
        ready.set_function(lambda: len(self._urls))
        self._ends = Counter(
            "payments_worker_process_ends",
            "Processes that ended though they were not told to.",
            registry=self.registry,
        )

    def began(self, place: int, url: str) -> None:
        """Count a process, and scrape it from now on where it serves metrics."""
        self._urls[place] = url

    def ended(self, place: int, *, was_told: bool) -> None:
        """Ask a process no more, and count it where nobody has stopped it."""
        self._urls.pop(place, None)
        if not was_told:
            self._ends.inc()

    async def text(self, session: aiohttp.ClientSession) -> bytes:
        """Ask all of them at the same time."""
        places = sorted((place, url) for place, url in self._urls.items() if url)
        texts = await asyncio.gather(*(_scrape(session, url) for _, url in places))
        merged = CollectorRegistry()
        told = {place: text for (place, _), text in zip(places, texts, strict=True)}
        merged.register(_Merged({place: told.get(place, "") for place in range(self._wanted)}))
        return generate_latest(self.registry) + generate_latest(merged)


class _Merged(Collector):
    """The families of several scrapes."""

    def __init__(self, texts: Mapping[int, str]) -> None:
        """Take what each has answered, nothing for one that has not or is not there."""
        self._texts = texts

    def collect(self) -> Iterable[Metric]:
        answering = GaugeMetricFamily(
            "payments_worker_process_answering", "Whether a process has told its metrics.", labels=["place"]
        )
        families: dict[str, Metric] = {answering.name: answering}
        for place, text in self._texts.items():
            answering.add_metric([str(place)], float(bool(text)))
            for family in text_string_to_metric_families(text):
                kept = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    kept.samples.append(sample._replace(labels={**sample.labels, "place": str(place)}))
        return families.values()


@asynccontextmanager
async def open_worker_metrics(address: str, processes: WorkerProcesses) -> AsyncIterator[str]:
    """Serve the metrics of all processes until the context ends; gives the URL. Raises ConfigurationError."""
    timeout = aiohttp.ClientTimeout(total=SCRAPE_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        open_metrics_endpoint(address, lambda: processes.text(session)) as url,
    ):
        yield url


async def _scrape(session: aiohttp.ClientSession, url: str) -> str:
    try:
        async with session.get(url) as answer:
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        _log.warning("metrics.process_not_read", url=url, error=type(error).__name__)
        return ""
