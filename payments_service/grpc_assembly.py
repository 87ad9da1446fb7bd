"""Opens what `payments serve` does: every method of the contract over the stages behind it."""

import random
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
from payments_service.process_parts import Core
from payments_service.retry_policy import FULFILLMENT_RETRIES
from payments_service.rpc.grpc_server import ServerConfig, ServerParts, open_server
from payments_service.rpc.operations_servicer import ServiceFacts
from payments_service.settings import Settings

PACKAGE = "payments-service"
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
    config = ServerConfig(settings.grpc_address, settings.tls_cert, settings.tls_key)
    return (await stack.enter_async_context(open_server(config, parts))).address


def broker_name(settings: Settings) -> str:
    """Name the broker's kind; its URL may hold a password."""
    return BROKERS[settings.broker_url.partition(":")[0]]


def _return_pages(public_url: str) -> ReturnPages:
    return ReturnPages(
        success_url=f"{public_url}/checkout/return?session_id={{CHECKOUT_SESSION_ID}}",
        cancel_url=f"{public_url}/checkout/cancelled",
    )
