"""Opens what `payments serve` does: every method of the contract over the stages behind it."""

import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib.metadata import version

from payments_service.checkout.cancellation import Cancellation
from payments_service.checkout.checkout_request import ReturnPages
from payments_service.checkout.creation import CheckoutCreation
from payments_service.checkout.expiration import CheckoutExpiration
from payments_service.checkout.lookup import OrderLookup
from payments_service.checkout.order_wait import OrderWait
from payments_service.checkout.refunding import Refunding
from payments_service.event_log.fulfillment_consumption import FulfillmentConsumers
from payments_service.event_log.fulfillment_stream import FulfillmentStreams
from payments_service.event_log.subscriber_registry import SubscriberRegistry
from payments_service.fulfillment.desk import FulfillmentDesk
from payments_service.inbox.replay import EventReplay
from payments_service.observability.metric_registry import OTHER, PACKAGE
from payments_service.process_parts import Core
from payments_service.retry_policy import FULFILLMENT_RETRIES
from payments_service.rpc.grpc_server import ServerConfig, ServerParts, open_server
from payments_service.rpc.operations_servicer import ServiceFacts
from payments_service.settings import Settings

MOST_CALLERS = 50
BROKERS = {"memory": "memory", "amqp": "rabbitmq", "amqps": "rabbitmq", "redis": "redis", "rediss": "redis"}


async def open_rpc(stack: AsyncExitStack, core: Core, public_url: str) -> str:
    """Listen; returns the real address."""
    settings = core.settings
    shared = (core.database, core.gateway, core.waker)
    lookup = OrderLookup(*shared, core.clock)
    streams = FulfillmentStreams(core.database, core.tailer, core.clock)
    consumers = FulfillmentConsumers(core.database, core.tailer, core.clock)
    facts = ServiceFacts(version(PACKAGE), core.gateway.livemode, broker_name(settings), core.database.dialect)
    parts = ServerParts(
        database=core.database,
        callers=core.callers,
        creation=CheckoutCreation(*shared, _return_pages(public_url), core.clock),
        expiration=CheckoutExpiration(*shared, core.clock),
        lookup=lookup,
        waiting=OrderWait(lookup, core.tailer.growth, lambda: streams.drained),
        refunding=Refunding(*shared, core.clock),
        cancellation=Cancellation(*shared, core.clock),
        desk=FulfillmentDesk(core.database, core.waker, FULFILLMENT_RETRIES, core.clock, random.random),
        replay=EventReplay(core.database, core.enquiry, core.waker, core.rules, core.clock),
        reconciler=core.reconciler,
        streams=streams,
        consumers=consumers,
        subscribers=SubscriberRegistry(core.database, core.clock, consumers.tell),
        clock=core.clock,
        facts=facts,
    )
    _watch(core, streams, consumers)
    config = ServerConfig(settings.grpc_address, settings.tls_cert, settings.tls_key)
    return (await stack.enter_async_context(open_server(config, parts))).address


def _watch(core: Core, streams: FulfillmentStreams, consumers: FulfillmentConsumers) -> None:
    """Let be read who reads the log here, and how far it is."""
    core.gauges.watch(
        "payments_streams_open",
        "Open calls that read the event log.",
        lambda: {("stream",): len(streams.lags), ("consume",): consumers.sessions},
        ["kind"],
    )
    core.gauges.watch(
        "payments_stream_lag_events",
        "Positions of the log that the slowest stream of a caller is behind.",
        lambda: _slowest(streams.lags),
        ["caller"],
    )
    core.gauges.watch_number(
        "payments_log_head_read", "The last position that this process has read.", lambda: float(core.tailer.head)
    )


def _slowest(lags: Sequence[tuple[str, int]]) -> dict[tuple[str, ...], float]:
    """Give each caller's largest lag; callers beyond many share a name."""
    slowest: dict[tuple[str, ...], float] = {}
    for caller, lag in lags:
        key = (caller,) if (caller,) in slowest or len(slowest) < MOST_CALLERS else (OTHER,)
        slowest[key] = max(lag, slowest.get(key, 0))
    return slowest


def broker_name(settings: Settings) -> str:
    """Name the broker's kind; its URL may hold a password."""
    return BROKERS[settings.broker_url.partition(":")[0]]


def _return_pages(public_url: str) -> ReturnPages:
    return ReturnPages(
        success_url=f"{public_url}/checkout/return?session_id={{CHECKOUT_SESSION_ID}}",
        cancel_url=f"{public_url}/checkout/cancelled",
    )
