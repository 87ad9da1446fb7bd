"""Asks a broker whether it answers; it declares no queue and sends no message."""

import asyncio
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from payments_service.errors import ConfigurationError, PaymentsError

CONNECT_SECONDS = 3.0
REPLY_SECONDS = 3.0
AMQP_PORT, AMQPS_PORT = 5672, 5671


class BrokerSilentError(PaymentsError):
    """Raised when a broker does not answer as one; the message is the driver's."""


async def ask_broker(url: str) -> float:
    """Give how many seconds it took to connect and to be answered; raises BrokerSilentError, ConfigurationError."""
    began = monotonic()
    scheme = urlsplit(url).scheme
    try:
        if scheme in {"redis", "rediss"}:
            await _ask_redis(url)
        elif scheme in {"amqp", "amqps"}:
            await _reach(url)
            await asyncio.to_thread(_ask_rabbitmq, url)
        else:
            raise ConfigurationError("PAYMENTS_BROKER_URL must be memory://, amqp://... or redis://...")
    except ImportError as error:
        extra = "redis" if scheme.startswith("redis") else "rabbitmq"
        raise ConfigurationError(f"PAYMENTS_BROKER_URL needs `payments-service[{extra}]`.") from error
    return monotonic() - began


async def _ask_redis(url: str) -> None:
    from redis.asyncio import Redis  # an extra that only this broker needs
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError

    client = Redis.from_url(
        url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=REPLY_SECONDS, retry=Retry(NoBackoff(), 0)
    )
    try:
        await client.ping()
    except (RedisError, OSError, ValueError) as error:
        raise BrokerSilentError(f"{error}" or type(error).__name__) from error
    finally:
        await client.aclose()


async def _reach(url: str) -> None:
    """Connect first without the driver, which does not say why it could not."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            port = parts.port or (AMQPS_PORT if parts.scheme == "amqps" else AMQP_PORT)
            _, writer = await asyncio.open_connection(parts.hostname or "localhost", port)
        writer.close()
        await writer.wait_closed()
    except TimeoutError as error:
        raise BrokerSilentError(f"no connection within {CONNECT_SECONDS:g} s") from error
    except (OSError, ValueError) as error:
        raise BrokerSilentError(str(error)) from error


def _ask_rabbitmq(url: str) -> None:
    import pika  # an extra that only this broker needs
    from pika.adapters.utils.connection_workflow import AMQPConnectorException
    from pika.exceptions import AMQPError

    try:
        with pika.BlockingConnection(_limited(pika.URLParameters(url))) as connection:
            connection.channel()
    except (AMQPError, AMQPConnectorException, OSError, ValueError) as error:
        raise BrokerSilentError(f"{type(error).__name__}: {error}") from error


def _limited(parameters: Any) -> Any:  # noqa: ANN401  # the driver's own
    parameters.connection_attempts = 1
    parameters.socket_timeout = CONNECT_SECONDS
    parameters.stack_timeout = CONNECT_SECONDS + REPLY_SECONDS
    parameters.blocked_connection_timeout = REPLY_SECONDS
    return parameters
