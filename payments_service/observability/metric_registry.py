"""The registry of a process's metrics, and what they have in common; names and units follow Prometheus' conventions.

Every label has few values: what others choose, such as an event's type, is `other` unless it is named here.
"""

from collections.abc import Iterable
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

PACKAGE = "payments-service"
OTHER = "other"
CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0)

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
"""What is counted in this process, whoever asks for it; what is read at a scrape has registries of its own."""
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


def tell_build(registry: CollectorRegistry, roles: Iterable[str]) -> None:
    """Say which version runs here, and as what."""
    text = "1, with the version and what the process does."
    info = Gauge("payments_build_info", text, ["version", "roles"], registry=registry)
    info.labels(version(PACKAGE), ",".join(sorted(roles))).set(1)
