"""Makes the broker from its URL; a message is a wake-up with one id, so no broker is trusted with anything else.

No middleware of Dramatiq's: attempts, backoff and the final failure live in the row (reading/dramatiq.md 2).
"""

from typing import Any
from urllib.parse import urlsplit

import dramatiq
from dramatiq.brokers.stub import StubBroker

from payments_service.errors import ConfigurationError, PaymentsError

EVENTS_QUEUE = "stripe_events"
FULFILLMENTS_QUEUE = "fulfillments"
PLUGINS_QUEUE = "plugin_fulfillments"
MAX_QUEUED = 10_000


class QueueFullError(PaymentsError):
    """Raised when nobody takes messages fast enough: the wake-up is dropped, and the sweep does its work."""


class InProcessBroker(StubBroker):
    """A broker within one process: bounded, and it keeps no dead letters (the stock one keeps them for ever)."""

    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        """Queue a message; raises QueueFullError."""
        queue = self.queues.get(message.queue_name)
        if queue is not None and queue.qsize() >= MAX_QUEUED:
            raise QueueFullError(f"The queue {message.queue_name} holds {MAX_QUEUED} messages.")
        return super().enqueue(message, delay=delay)


def make_broker(url: str) -> dramatiq.Broker:
    """Make the broker; raises ConfigurationError for a URL of no broker that is known."""
    match urlsplit(url).scheme:
        case "memory":
            return InProcessBroker(middleware=[])
        case "amqp" | "amqps":
            return _rabbitmq(url)
        case "redis" | "rediss":
            return _redis(url)
        case _:
            raise ConfigurationError("PAYMENTS_BROKER_URL must be memory://, amqp://... or redis://...")


def _rabbitmq(url: str) -> dramatiq.Broker:
    try:
        from payments_service.actors.rabbitmq_broker import open_rabbitmq  # an extra that only this broker needs
    except ImportError as error:
        raise ConfigurationError("PAYMENTS_BROKER_URL is amqp://, which needs `payments-service[rabbitmq]`.") from error
    return open_rabbitmq(url)


def _redis(url: str) -> dramatiq.Broker:
    try:
        from payments_service.actors.redis_broker import open_redis  # an extra that only this broker needs
    except ImportError as error:
        raise ConfigurationError("PAYMENTS_BROKER_URL is redis://, which needs `payments-service[redis]`.") from error
    return open_redis(url)
