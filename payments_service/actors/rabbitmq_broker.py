"""Dramatiq's RabbitMQ broker with the time limits and the forgiveness that mere wake-ups allow.

Deliveries are not confirmed: a wake-up that is lost is swept up, and a confirmation from a server that hangs takes
minutes (reading/dramatiq.md 3.2).
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from dramatiq.errors import ConnectionClosed
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError

LIMITS = {"heartbeat": "10", "socket_timeout": "2", "stack_timeout": "3", "blocked_connection_timeout": "5"}
"""In seconds; what the URL says itself is left as it is."""


class WakeUpBroker(RabbitmqBroker):
    """No message is ever delayed, so nobody listens for delayed ones."""

    @property
    def consumer_class(self) -> type["WakeUpConsumer"]:
        """Take messages in our way."""
        return WakeUpConsumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> dramatiq.Consumer:
        """Begin to take messages; whatever stands in the way ends in the way that Dramatiq starts again after."""
        try:
            return super().consume(queue_name, prefetch, timeout)
        except (AMQPError, AMQPConnectorException) as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]

    def get_declared_delay_queues(self) -> set[str]:
        """Name none."""
        return set()


class WakeUpConsumer(_RabbitmqConsumer):
    """A connection that is lost holds no thread up: its messages come again by themselves."""

    def ack(self, message: Any) -> None:  # noqa: ANN401
        """Say that it is done; where that fails it comes twice, which costs one look at its row."""
        try:
            super().ack(message)  # type: ignore[no-untyped-call]
        except ConnectionClosed:
            return


def open_rabbitmq(url: str) -> dramatiq.Broker:
    """Make the broker; it connects when it is first used."""
    return WakeUpBroker(url=_with_limits(url), middleware=[])


def _with_limits(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode(LIMITS | dict(parse_qsl(parts.query)))))
