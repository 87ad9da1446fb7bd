"""Dramatiq's Redis broker with the time limits and the forgiveness that mere wake-ups allow.

As shipped it ignores socket limits beside a URL, loses a consumer for good to a server that hangs, and holds a
worker's threads for as long as the server is away (reading/dramatiq.md 3.1).
"""

from collections.abc import Iterable
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed
from redis.backoff import NoBackoff
from redis.retry import Retry

CONNECT_SECONDS = 2.0
REPLY_SECONDS = 2.0
NAMESPACE = "payments"
HEARTBEAT_MILLISECONDS = 15_000
MAINTENANCE_CHANCE = 100_000
"""Of a million commands: at some 40 a second, a dead worker's messages are given back within seconds of its time."""
DEAD_MESSAGE_MILLISECONDS = 3_600_000


class WakeUpBroker(RedisBroker):
    """No message is ever delayed, so nobody asks for delayed ones."""

    @property
    def consumer_class(self) -> type["WakeUpConsumer"]:
        """Take messages in our way."""
        return WakeUpConsumer

    def get_declared_delay_queues(self) -> set[str]:
        """Name none."""
        return set()


class WakeUpConsumer(_RedisConsumer):
    """Any trouble of Redis's ends a consumer in the way that Dramatiq starts it again after."""

    def __next__(self) -> Any:  # noqa: ANN401
        """Give the next message, or None."""
        try:
            return super().__next__()  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]

    def ack(self, message: Any) -> None:  # noqa: ANN401
        """Say that it is done; where that fails it comes twice, which costs one look at its row."""
        try:
            super().ack(message)  # type: ignore[no-untyped-call]
        except (redis.RedisError, ConnectionClosed):
            return

    def requeue(self, messages: Iterable[Any]) -> None:
        """Give back what was not worked on; where that fails the sweep finds its row."""
        try:
            super().requeue(messages)  # type: ignore[no-untyped-call]
        except redis.RedisError:
            return


def open_redis(url: str) -> dramatiq.Broker:
    """Make the broker; it connects when it is first used."""
    client = redis.Redis.from_url(
        url,
        socket_timeout=REPLY_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    return WakeUpBroker(  # type: ignore[no-untyped-call]
        client=client,
        middleware=[],
        namespace=NAMESPACE,
        maintenance_chance=MAINTENANCE_CHANCE,
        heartbeat_timeout=HEARTBEAT_MILLISECONDS,
        dead_message_ttl=DEAD_MESSAGE_MILLISECONDS,
    )
