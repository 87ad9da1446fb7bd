"""Gauges of what the database holds: read at a scrape, at most once in some seconds, by one reading at a time.

Any number of processes may show them: they are the installation's, so that whoever is scraped tells of a worker that
is dead. A reading that fails leaves no old numbers behind, and one that is slow keeps no scrape waiting for long.
"""

import asyncio
from collections.abc import Iterator
from itertools import groupby

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from payments_service.errors import PaymentsError
from payments_service.observability.work_metrics import duty_label
from payments_service.orders.states import FulfillmentState, StripeEventState
from payments_service.storage.database import Database
from payments_service.storage.gauge_rows import GaugeReadings, Pile, SubscriberLag, read_gauges

FRESH_SECONDS = 5.0
WAIT_SECONDS = 2.0
"""How long a scrape waits for a reading; Prometheus gives up on the whole after 10 s by default."""
GIVE_UP_SECONDS = 10.0
EVENT_STATES = (StripeEventState.PENDING, StripeEventState.DEFERRED, StripeEventState.FAILED)
FULFILLMENT_STATES = (FulfillmentState.PENDING, FulfillmentState.AWAITING_OWNER, FulfillmentState.FAILED)
_log = structlog.get_logger(__name__)
Gauges = Iterator[GaugeMetricFamily]


class DatabaseGauges(Collector):
    """The last reading, if it is good for anything."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database
        self._found: GaugeReadings | None = None
        self._reading: asyncio.Task[None] | None = None
        self._read_at = float("-inf")
        self._seconds = 0.0

    async def refresh(self) -> None:
        """Read anew unless that was done a moment ago; never raises, and waits a short while only."""
        now = asyncio.get_running_loop().time()
        if self._reading is None or (self._reading.done() and now - self._read_at > FRESH_SECONDS):
            self._found, self._read_at = None, now
            self._reading = asyncio.create_task(self._read())
        await asyncio.wait([self._reading], timeout=WAIT_SECONDS)

    async def close(self) -> None:
        """Leave no reading behind."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def collect(self) -> Gauges:
        """Give the numbers of the last reading, or only that there is none."""
        found = self._found
        yield _gauge(
            "payments_database_reading_success", "Whether the numbers below were read.", float(found is not None)
        )
        yield _gauge("payments_database_reading_seconds", "How long reading them took.", self._seconds)
        if found is not None:
            yield from _piles("payments_inbox_events", "events of the inbox", EVENT_STATES, found.events)
            yield from _piles("payments_fulfillments", "fulfillments", FULFILLMENT_STATES, found.fulfillments)
            yield from _log_gauges(found)
            yield from _duty_gauges(found)
            yield from _reconciler_gauges(found)
            yield from _subscriber_gauges(found.subscribers)

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS), self._database.reading() as reading:
                self._found = await read_gauges(reading, EVENT_STATES, FULFILLMENT_STATES)
        except (PaymentsError, TimeoutError):
            return
        except Exception:
            _log.exception("metrics.database_not_read")
        finally:
            self._seconds = loop.time() - began


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _piles(
    name: str, what: str, states: tuple[StripeEventState, ...] | tuple[FulfillmentState, ...], piles: dict[int, Pile]
) -> Gauges:
    counts = GaugeMetricFamily(name, f"How many {what} are in a state, counted up to 10,000.", labels=["state"])
    ages = GaugeMetricFamily(f"{name}_oldest_seconds", f"How old the oldest of these {what} is.", labels=["state"])
    for state in states:
        counts.add_metric([state.name], piles[state].count)
        ages.add_metric([state.name], piles[state].oldest.total_seconds())
    yield counts
    yield ages


def _log_gauges(found: GaugeReadings) -> Gauges:
    outbox = found.outbox
    yield _gauge("payments_outbox_events", "Staged events without a position yet, up to 10,000.", outbox.count)
    yield _gauge("payments_outbox_oldest_seconds", "How long the oldest waits.", outbox.oldest.total_seconds())
    yield _gauge("payments_log_head", "The last position of the event log.", found.head.position)
    yield _gauge("payments_log_trimmed_through", "Up to where the log was trimmed.", found.head.trimmed_through)


def _duty_gauges(found: GaugeReadings) -> Gauges:
    held = GaugeMetricFamily("payments_duty_lease_held", "Whether a worker holds the duty.", labels=["duty"])
    epochs = GaugeMetricFamily("payments_duty_lease_epoch", "How often the duty changed hands.", labels=["duty"])
    for name, duties in groupby(found.duties, lambda duty: duty_label(duty.name)):
        alike = list(duties)
        held.add_metric([name], float(all(duty.left for duty in alike)))
        epochs.add_metric([name], max(duty.epoch for duty in alike))
    yield held
    yield epochs


def _reconciler_gauges(found: GaugeReadings) -> Gauges:
    for name, text, time in (
        ("last_run", "When the account that was reconciled longest ago was; 0: never.", found.reconcile_time),
        ("listed_until", "Up to when Stripe's list of events was read; 0: never.", found.listed_until),
    ):
        yield _gauge(f"payments_reconciler_{name}_timestamp_seconds", text, time.timestamp() if time else 0.0)


def _subscriber_gauges(lags: list[SubscriberLag]) -> Gauges:
    """Name the first hundred subscribers."""
    for name, text, values in (
        ("lag_events", "Positions of the log that a subscriber has not passed.", [lag.positions for lag in lags]),
        (
            "oldest_seconds",
            "How long the first of these has been in the log.",
            [lag.oldest.total_seconds() for lag in lags],
        ),
        ("retrying_events", "Events that come again later.", [lag.retrying for lag in lags]),
        ("parked_events", "Events that wait for an operator.", [lag.parked for lag in lags]),
        ("members", "Members that work for the subscriber.", [lag.members for lag in lags]),
        ("lost_data", "Whether events were trimmed before it took them.", [float(lag.has_lost_data) for lag in lags]),
    ):
        family = GaugeMetricFamily(f"payments_subscriber_{name}", text, labels=["subscriber"])
        for lag, value in zip(lags, values, strict=True):
            family.add_metric([lag.subscriber], value)
        yield family
