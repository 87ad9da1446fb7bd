"""Gauges of this process that are read when somebody scrapes, so that between scrapes they cost nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

Reading = Callable[[], Mapping[tuple[str, ...], float]]
_log = structlog.get_logger(__name__)


class ProcessGauges(Collector):
    """What the parts of a process let be read; each part says how."""

    def __init__(self) -> None:
        self._gauges: list[tuple[str, str, Sequence[str], Reading]] = []

    def watch(self, name: str, text: str, read: Reading, labels: Sequence[str] = ()) -> None:
        """Read a gauge, by the values of its labels, at each scrape from now on."""
        self._gauges.append((name, text, labels, read))

    def watch_number(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Read a gauge without labels."""
        self.watch(name, text, lambda: {(): read()})

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read them all; one that cannot be read is missing, and the rest are not."""
        for name, text, labels, read in self._gauges:
            family = GaugeMetricFamily(name, text, labels=labels)
            try:
                values = read()
            except Exception:
                _log.exception("metrics.not_read", metric=name)
                continue
            for key, value in values.items():
                family.add_metric(key, value)
            yield family
