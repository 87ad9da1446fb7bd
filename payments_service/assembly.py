"""Puts a process together: opens every part on one stack and hands it down; the stack closes them in reverse.

The only place that knows all parts; what wakes what is decided here, and no part imports the one that it wakes.
"""

import asyncio
import os
import random
import secrets
import socket
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from importlib.metadata import version

from payments_service.actors.broker import make_broker
from payments_service.actors.crew import Crew
from payments_service.actors.duty import Duty
from payments_service.actors.duty_roster import DutyRoster
from payments_service.actors.event_work import EventWork
from payments_service.actors.forward_work import forward_duties
from payments_service.actors.fulfillment_work import FulfillmentWork
from payments_service.actors.message_waker import MessageWaker
from payments_service.actors.sweep import Sweep, due_events, due_fulfillments, due_refunds
from payments_service.checkout.cancellation import Cancellation
from payments_service.checkout.checkout_request import ReturnPages
from payments_service.checkout.creation import CheckoutCreation
from payments_service.checkout.expiration import CheckoutExpiration
from payments_service.checkout.lookup import OrderLookup
from payments_service.checkout.order_wait import OrderWait
from payments_service.checkout.refunding import Refunding
from payments_service.errors import ConfigurationError
from payments_service.event_log.fulfillment_stream import FulfillmentStreams
from payments_service.event_log.sequencer import TICK_SECONDS, Sequencer
from payments_service.event_log.tailer import Tailer
from payments_service.forwarding.delivery import open_delivery
from payments_service.forwarding.targets import ForwardTargets, read_targets
from payments_service.fulfillment.attempt import FulfillmentAttempts
from payments_service.fulfillment.desk import FulfillmentDesk
from payments_service.fulfillment.registry import load_registry
from payments_service.inbox.enquiry import Enquiry
from payments_service.inbox.receiver import open_receiver
from payments_service.inbox.replay import EventReplay
from payments_service.orders.verdict import ClaimRules
from payments_service.retry_policy import EVENT_RETRIES, FULFILLMENT_RETRIES
from payments_service.rpc.callers import CallerResolver, open_callers
from payments_service.rpc.operations_servicer import ServiceFacts
from payments_service.rpc.server import ServerConfig, ServerParts, open_server
from payments_service.settings import Settings, split_address
from payments_service.storage.database import Database, open_database
from payments_service.storage.file_owner import free_leases, owning_file
from payments_service.storage.log_listener import LogListener
from payments_service.storage.schema import migrate, require_present_schema
from payments_service.stripe_gateway.client import StripeGateway, StripeKey, open_gateway
from stripe_sandbox.configuration import SandboxConfig, SandboxRefusedError
from stripe_sandbox.sandbox_server import Sandbox, open_sandbox
from webhook_bridge.server import BridgeConfig, open_bridge

SANDBOX_KEY = "sk_test_sandbox"
PACKAGE = "payments-service"
WAKER_STOP_SECONDS = 2.0
BROKERS = {"memory": "memory", "amqp": "rabbitmq", "amqps": "rabbitmq", "redis": "redis", "rediss": "redis"}


class Role(Enum):
    """What a process does; `payments up` does all of it."""

    GRPC = auto()
    BRIDGE = auto()
    WORKER = auto()
    SANDBOX = auto()


@dataclass(frozen=True, slots=True)
class Running:
    """Where a process listens; empty where it does not."""

    grpc_address: str = ""
    bridge_url: str = ""
    sandbox_url: str = ""
    webhook_secret: str = ""
    """The sandbox's, which is nobody's secret."""
    database: str = ""
    broker: str = ""


def _clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Core:
    """What every process of the service has."""

    database: Database
    gateway: StripeGateway
    enquiry: Enquiry
    tailer: Tailer
    sequencer: Sequencer
    waker: MessageWaker
    crew: Crew
    callers: CallerResolver
    targets: ForwardTargets
    rules: ClaimRules


class Assembly:
    """The way from settings to a running process; each method opens one part on the stack."""

    def __init__(self, stack: AsyncExitStack, settings: Settings, roles: frozenset[Role]) -> None:
        """Take the stack that closes what is opened here."""
        self._stack = stack
        self._settings = settings
        self._roles = roles
        self._secrets = settings.webhook_secrets

    async def sandbox_alone(self) -> Running:
        """Open the sandbox, which delivers to a bridge of another process."""
        sandbox = await self._sandbox(self._settings.sandbox_webhook_url or f"{self._public_url()}/webhooks/stripe")
        return Running(sandbox_url=sandbox.url, webhook_secret=self._secrets[0])

    async def service(self) -> Running:
        """Open the service as far as the roles go; what is asked of it last closes first."""
        settings, roles = self._settings, self._roles
        sandbox = await self._sandbox("") if Role.SANDBOX in roles and not settings.stripe_key else None
        core = await self._core(sandbox.url if sandbox else settings.stripe_api_base)
        if Role.WORKER in roles:
            await self._worker(core)
        bridge_url = await self._bridge(core) if Role.BRIDGE in roles else ""
        grpc_address = await self._rpc(core, self._public_url(bridge_url)) if Role.GRPC in roles else ""
        if sandbox:
            sandbox.deliver_to(settings.sandbox_webhook_url or f"{bridge_url}/webhooks/stripe")
        return Running(
            grpc_address=grpc_address,
            bridge_url=bridge_url,
            sandbox_url=sandbox.url if sandbox else "",
            webhook_secret=self._secrets[0] if sandbox else "",
            database=core.database.dialect,
            broker=_broker_name(settings),
        )

    def _public_url(self, bridge_url: str = "") -> str:
        return (self._settings.public_url or bridge_url or f"http://{self._settings.bridge_address}").rstrip("/")

    async def _sandbox(self, webhook_url: str) -> Sandbox:
        if not self._secrets:
            self._secrets = (f"whsec_{secrets.token_hex(16)}",)
        host, port = split_address(self._settings.sandbox_address)
        config = SandboxConfig(
            host=host,
            port=port,
            database=self._settings.sandbox_database,
            webhook_url=webhook_url,
            webhook_secrets=self._secrets,
        )
        try:
            return await self._stack.enter_async_context(open_sandbox(config))
        except SandboxRefusedError as error:
            raise ConfigurationError(str(error)) from error

    async def _core(self, api_base: str) -> _Core:
        settings = self._settings
        database = await self._database()
        key = StripeKey(settings.stripe_key or SANDBOX_KEY, api_base)
        gateway = await self._stack.enter_async_context(open_gateway(key))
        tailer = Tailer(database)
        sequencer = Sequencer(database, tailer.hint, tick_seconds=None)
        crew = Crew(make_broker(settings.broker_url), asyncio.get_running_loop())
        self._stack.callback(crew.close)
        await self._log(tailer, sequencer)
        waker = MessageWaker(crew.apply_event, crew.fulfill, sequencer.poke)
        waker.start()
        self._stack.push_async_callback(asyncio.to_thread, waker.stop, WAKER_STOP_SECONDS)
        callers = await self._stack.enter_async_context(open_callers(settings.callers_file))
        targets = read_targets(settings.forward_urls, frozenset({self._public_url()}))
        claimed = frozenset(settings.claimed_types)
        rules = ClaimRules(gateway.livemode, claimed, callers.sells_by, targets.urls_of)
        return _Core(
            database, gateway, Enquiry(database, gateway), tailer, sequencer, waker, crew, callers, targets, rules
        )

    async def _database(self) -> Database:
        settings = self._settings
        if settings.embedded:
            self._stack.enter_context(owning_file(settings.database_url))
        database = await self._stack.enter_async_context(
            open_database(settings.database_url, settings.database_pool_size)
        )
        if settings.embedded:
            await migrate(database)
            async with database.transaction() as tx:
                await free_leases(tx)
        await require_present_schema(database)
        return database

    async def _log(self, tailer: Tailer, sequencer: Sequencer) -> None:
        """Sequence and tail in the background; what the last commits staged is sequenced before the database closes."""
        await sequencer.drain()
        if Role.GRPC in self._roles:
            await tailer.open()
            await self._background(tailer.run())
            if not self._settings.embedded:
                await self._background(LogListener(self._settings.database_url, tailer.hint).run())
        self._stack.push_async_callback(sequencer.drain)
        await self._background(sequencer.run())

    async def _worker(self, core: _Core) -> None:
        attempts = FulfillmentAttempts(
            core.database, load_registry(self._settings.grace_days), FULFILLMENT_RETRIES, _clock, random.random
        )
        events = EventWork(core.database, core.enquiry, core.waker, core.rules, EVENT_RETRIES, _clock, random.random)
        fulfillments = FulfillmentWork(attempts, core.waker)
        core.crew.employ(events.work, fulfillments.work)
        await self._stack.enter_async_context(core.crew.at_work())
        refunding = Refunding(core.database, core.gateway, core.waker, _clock)
        delivery = await self._stack.enter_async_context(open_delivery(self._secrets[0] if self._secrets else "", _clock))
        duties = (
            Sweep("stripe_events", core.database, due_events, events.work).duty,
            Sweep("fulfillments", core.database, due_fulfillments, fulfillments.work).duty,
            Sweep("refunds", core.database, due_refunds, refunding.resume).duty,
            Duty("sequence", TICK_SECONDS, lambda _: core.sequencer.tick()),
            *forward_duties(core.targets.urls, core.database, delivery, _clock, random.random),
        )
        await self._background(DutyRoster(core.database, duties, _holder(), random.random).run())

    async def _bridge(self, core: _Core) -> str:
        host, port = split_address(self._settings.bridge_address)
        bridge = await self._stack.enter_async_context(
            open_bridge(
                BridgeConfig(host, port, self._secrets),
                receiver=await self._stack.enter_async_context(open_receiver(core.database, _clock)),
                orders=OrderLookup(core.database, core.gateway, core.waker, _clock),
                waker=core.waker,
                clock=_clock,
            )
        )
        return bridge.url

    async def _rpc(self, core: _Core, public_url: str) -> str:
        settings = self._settings
        database, gateway, waker = core.database, core.gateway, core.waker
        lookup = OrderLookup(database, gateway, waker, _clock)
        streams = FulfillmentStreams(database, core.tailer, _clock)
        config = ServerConfig(settings.grpc_address, settings.tls_cert, settings.tls_key)
        parts = ServerParts(
            database=database,
            callers=core.callers,
            creation=CheckoutCreation(database, gateway, waker, _return_pages(public_url), _clock),
            expiration=CheckoutExpiration(database, gateway, waker, _clock),
            lookup=lookup,
            waiting=OrderWait(lookup, core.tailer.growth, lambda: streams.drained),
            refunding=Refunding(database, gateway, waker, _clock),
            cancellation=Cancellation(database, gateway, waker, _clock),
            desk=FulfillmentDesk(database, waker, FULFILLMENT_RETRIES, _clock, random.random),
            replay=EventReplay(database, core.enquiry, waker, core.rules, _clock),
            streams=streams,
            clock=_clock,
            facts=ServiceFacts(version(PACKAGE), gateway.livemode, _broker_name(settings), database.dialect),
        )
        return (await self._stack.enter_async_context(open_server(config, parts))).address

    async def _background(self, running: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(running)
        self._stack.push_async_callback(_cancelled, task)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _holder() -> str:
    """Name this run of this process, for whoever reads who has which duty."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def _return_pages(public_url: str) -> ReturnPages:
    return ReturnPages(
        success_url=f"{public_url}/checkout/return?session_id={{CHECKOUT_SESSION_ID}}",
        cancel_url=f"{public_url}/checkout/cancelled",
    )


def _broker_name(settings: Settings) -> str:
    return BROKERS[settings.broker_url.partition(":")[0]]
