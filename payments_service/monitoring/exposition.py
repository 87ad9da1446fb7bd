"""Puts the text of a scrape together: what is counted, what this process reads, and what the database says."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, generate_latest

from payments_service.monitoring.database_gauges import DatabaseGauges
from payments_service.monitoring.metrics_endpoint import open_metrics_endpoint
from payments_service.monitoring.process_gauges import ProcessGauges
from payments_service.observability.metric_registry import REGISTRY, tell_build
from payments_service.storage.database import Database


@asynccontextmanager
async def open_metrics(
    address: str, roles: Iterable[str], database: Database, gauges: ProcessGauges
) -> AsyncIterator[str]:
    """Serve a process's metrics until the context ends; gives the URL. Raises ConfigurationError."""
    own, readings = CollectorRegistry(), DatabaseGauges(database)
    tell_build(own, roles)
    own.register(gauges)
    own.register(readings)

    async def text() -> bytes:
        await readings.refresh()
        return generate_latest(REGISTRY) + generate_latest(own)

    async with open_metrics_endpoint(address, text) as url:
        yield url
    await readings.close()
