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
        import pika  # an extra that only this broker needs
        from dramatiq.brokers.rabbitmq import RabbitmqBroker
    except ImportError as error:
        raise ConfigurationError("PAYMENTS_BROKER_URL is amqp://, which needs `payments-service[rabbitmq]`.") from error
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 10
    parameters.socket_timeout = 3
    parameters.stack_timeout = 5
    parameters.blocked_connection_timeout = 5
    return RabbitmqBroker(parameters=[parameters], middleware=[])


def _redis(url: str) -> dramatiq.Broker:
    try:
        from dramatiq.brokers.redis import RedisBroker  # an extra that only this broker needs
    except ImportError as error:
        raise ConfigurationError("PAYMENTS_BROKER_URL is redis://, which needs `payments-service[redis]`.") from error
    return RedisBroker(  # type: ignore[no-untyped-call]
        url=url,
        middleware=[],
        namespace="payments",
        maintenance_chance=100_000,
        heartbeat_timeout=15_000,
        socket_timeout=10,
        socket_connect_timeout=3,
    )
