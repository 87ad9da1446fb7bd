"""Puts a process together: opens every part on one stack and hands it down; the stack closes them in reverse.

What wakes what is decided here and in worker_assembly.py and grpc_assembly.py; no part imports the one that it wakes.
"""

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from functools import partial

from payments_service.actors.broker import make_broker
from payments_service.actors.crew import Crew
from payments_service.actors.message_waker import MessageWaker
from payments_service.checkout.lookup import OrderLookup
from payments_service.errors import ConfigurationError
from payments_service.event_log.sequencer import Sequencer
from payments_service.event_log.tailer import Tailer
from payments_service.forwarding.targets import read_targets
from payments_service.grpc_assembly import broker_name, open_rpc
from payments_service.inbox.enquiry import Enquiry
from payments_service.inbox.receiver import open_receiver
from payments_service.inbox.reconciler import Reconciler
from payments_service.monitoring.exposition import open_metrics
from payments_service.monitoring.process_gauges import ProcessGauges
from payments_service.orders.verdict import ClaimRules
from payments_service.process_parts import Clock, Core, Role, Running, clock
from payments_service.rpc.callers import open_callers
from payments_service.settings import Settings, split_address
from payments_service.storage.database import Database, open_database
from payments_service.storage.database_clock import DatabaseClock
from payments_service.storage.file_owner import free_leases, owning_file
from payments_service.storage.first_contact import await_database
from payments_service.storage.log_listener import LogListener
from payments_service.storage.schema import migrate, require_present_schema
from payments_service.stripe_gateway.client import StripeKey, open_gateway
from payments_service.worker_assembly import open_worker
from stripe_sandbox.configuration import SandboxConfig, SandboxRefusedError
from stripe_sandbox.sandbox_server import Sandbox, open_sandbox
from webhook_bridge.bridge_server import BridgeConfig, open_bridge

SANDBOX_KEY = "sk_test_sandbox"
WAKER_STOP_SECONDS = 2.0


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
        metrics_url = await self._metrics(core)
        if Role.WORKER in roles:
            await self._background((await open_worker(self._stack, core)).run())
        bridge_url = await self._bridge(core) if Role.BRIDGE in roles else ""
        public_url = self._public_url(bridge_url)
        grpc_address = await open_rpc(self._stack, core, public_url) if Role.GRPC in roles else ""
        if sandbox:
            sandbox.deliver_to(settings.sandbox_webhook_url or f"{bridge_url}/webhooks/stripe")
        return Running(
            grpc_address=grpc_address,
            bridge_url=bridge_url,
            sandbox_url=sandbox.url if sandbox else "",
            webhook_secret=self._secrets[0] if sandbox else "",
            database=core.database.dialect,
            broker=broker_name(settings),
            metrics_url=metrics_url,
        )

    def _public_url(self, bridge_url: str = "") -> str:
        return (self._settings.public_url or bridge_url or f"http://{self._settings.bridge_address}").rstrip("/")

    async def _sandbox(self, webhook_url: str) -> Sandbox:
        if not self._secrets:
            self._secrets = (f"whsec_{secrets.token_hex(16)}",)
        host, port = split_address(self._settings.sandbox_address)
        try:
            config = SandboxConfig(
                host=host,
                port=port,
                database=self._settings.sandbox_database,
                webhook_url=webhook_url,
                webhook_secrets=self._secrets,
            )
            return await self._stack.enter_async_context(open_sandbox(config))
        except SandboxRefusedError as error:
            raise ConfigurationError(str(error)) from error

    async def _core(self, api_base: str) -> Core:
        settings = self._settings
        database = await self._database()
        now = await self._clock(database)
        key = StripeKey(settings.stripe_key or SANDBOX_KEY, api_base)
        gateway = await self._stack.enter_async_context(open_gateway(key))
        tailer = Tailer(database)
        sequencer = Sequencer(database, tailer.hint, tick_seconds=None)
        crew = Crew(partial(make_broker, settings.broker_url), asyncio.get_running_loop())
        self._stack.push_async_callback(crew.close)
        await self._log(tailer, sequencer)
        waker = MessageWaker(crew.apply_event, crew.fulfill, crew.run_plugin, sequencer.poke)
        waker.start()
        self._stack.push_async_callback(asyncio.to_thread, waker.stop, WAKER_STOP_SECONDS)
        callers = await self._stack.enter_async_context(open_callers(settings.callers_file))
        targets = read_targets(settings.forward_urls, frozenset({self._public_url()}))
        claimed = frozenset(settings.claimed_types)
        return Core(
            settings=settings,
            webhook_secrets=self._secrets,
            clock=now,
            database=database,
            gateway=gateway,
            enquiry=Enquiry(database, gateway),
            tailer=tailer,
            sequencer=sequencer,
            waker=waker,
            crew=crew,
            callers=callers,
            targets=targets,
            rules=ClaimRules(gateway.livemode, claimed, callers.sells_by, targets.urls_of),
            reconciler=Reconciler(database, gateway, waker, callers.stripe_accounts, now),
            gauges=_gauges(database, waker),
        )

    async def _metrics(self, core: Core) -> str:
        """Open them early, so that they close late: a process that drains is watched to its end."""
        if not self._settings.metrics_address:
            return ""
        roles = [role.name.lower() for role in self._roles]
        return await self._stack.enter_async_context(
            open_metrics(self._settings.metrics_address, roles, core.database, core.gauges)
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
        await await_database(database, settings.database_wait)
        await require_present_schema(database)
        return database

    async def _clock(self, database: Database) -> Clock:
        """Go by the database's clock; SQLite has none but the host's."""
        if self._settings.embedded:
            return clock
        database_clock = DatabaseClock(database, clock)
        await database_clock.set()
        await self._background(database_clock.run())
        return database_clock

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

    async def _bridge(self, core: Core) -> str:
        host, port = split_address(self._settings.bridge_address)
        bridge = await self._stack.enter_async_context(
            open_bridge(
                BridgeConfig(host, port, self._secrets),
                receiver=await self._stack.enter_async_context(open_receiver(core.database, core.clock)),
                orders=OrderLookup(core.database, core.gateway, core.waker, core.clock),
                waker=core.waker,
                clock=clock,
            )
        )
        return bridge.url

    async def _background(self, running: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(running)
        self._stack.push_async_callback(_cancelled, task)


def _gauges(database: Database, waker: MessageWaker) -> ProcessGauges:
    """Let be read what every process has."""
    gauges = ProcessGauges()
    gauges.watch(
        "payments_database_connections",
        "Connections in use, and callers that wait for one or for their turn to write.",
        lambda: {("in_use",): database.usage.in_use, ("waiting",): database.usage.waiting},
        ["state"],
    )
    gauges.watch_number(
        "payments_broker_messages_waiting", "Wake-ups that are yet to be sent.", lambda: float(waker.waiting)
    )
    return gauges


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
