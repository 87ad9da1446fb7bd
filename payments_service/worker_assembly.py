"""Opens what `payments worker` does: the two actors, and the periodic duties that one worker at a time holds."""

import os
import random
import secrets
import socket
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

from payments_service.actors.direct_waker import DirectWaker
from payments_service.actors.duty import Duty
from payments_service.actors.duty_roster import DutyRoster
from payments_service.actors.event_work import EventWork
from payments_service.actors.forward_work import forward_duties
from payments_service.actors.fulfillment_work import FulfillmentWork
from payments_service.actors.retention import ROUND_SECONDS as TRIM_SECONDS
from payments_service.actors.retention import Retention
from payments_service.actors.sweep import Sweep, due_events, due_of, due_refunds
from payments_service.checkout.lookup import OrderLookup
from payments_service.checkout.overdue_orders import ROUND_SECONDS as OVERDUE_SECONDS
from payments_service.checkout.overdue_orders import OverdueOrders
from payments_service.checkout.refunding import Refunding
from payments_service.event_log.sequencer import TICK_SECONDS
from payments_service.forwarding.delivery import open_delivery
from payments_service.fulfillment.attempt import LOCAL_LEASE_SECONDS, PLUGIN_LEASE_SECONDS, FulfillmentAttempts, Share
from payments_service.fulfillment.registry import FulfillerRegistry, load_registry
from payments_service.observability.work_metrics import duty_label
from payments_service.process_parts import Core
from payments_service.retry_policy import EVENT_RETRIES, FULFILLMENT_RETRIES
from payments_service.storage.fulfillment_rows import PurchaseTypes


async def open_worker(stack: AsyncExitStack, core: Core) -> DutyRoster:
    """Start the actors; the roster that comes back is still to be run."""
    registry = load_registry(core.settings.grace_days)
    fulfillments, plugins = _fulfillments(core, registry)
    events = EventWork(core.database, core.enquiry, core.waker, core.rules, EVENT_RETRIES, core.clock, random.random)
    core.crew.employ(events.work, fulfillments.work, plugins.work if plugins else None)
    await stack.enter_async_context(core.crew.at_work(core.settings.worker_threads))
    duties = [*_sweeps(core, events, fulfillments, plugins), *_duties(core), *await _forwards(stack, core)]
    roster = DutyRoster(core.database, duties, _holder(), random.random)
    core.gauges.watch(
        "payments_duty_held",
        "Whether this process is at a duty.",
        lambda: {(duty_label(duty.name),): float(duty.name in roster.held) for duty in duties},
        ["duty"],
    )
    return roster


def _fulfillments(core: Core, registry: FulfillerRegistry) -> tuple[FulfillmentWork, FulfillmentWork | None]:
    """Give our own fulfillers' work, and the plug-ins': apart, so that a slow plug-in holds up nothing but its kind."""
    attempts = FulfillmentAttempts(core.database, registry, FULFILLMENT_RETRIES, core.clock, random.random)
    local = Share(PurchaseTypes(registry.plugin_types, others=True), LOCAL_LEASE_SECONDS)
    plugged = Share(PurchaseTypes(registry.plugin_types), PLUGIN_LEASE_SECONDS)
    if not registry.plugin_types:
        return FulfillmentWork(attempts, core.waker, local), None
    ours = FulfillmentWork(attempts, core.waker, local, core.waker.wake_plugin)
    return ours, FulfillmentWork(attempts, core.waker, plugged)


def _sweeps(
    core: Core, events: EventWork, fulfillments: FulfillmentWork, plugins: FulfillmentWork | None
) -> list[Duty]:
    """Sweep each table; what follows from a swept row is begun at once, so that without a broker one sweep does all."""
    sweeps = [_sweep(core, "fulfillments", fulfillments)]
    if plugins is not None:
        plugin_sweep = _sweep(core, "plugin_fulfillments", plugins)
        fulfillments = replace(fulfillments, hand_on=plugin_sweep.begin)
        sweeps.append(plugin_sweep)
    swept = replace(events, waker=DirectWaker(core.waker, fulfillments.work))
    sweeps.append(Sweep("stripe_events", core.database, due_events, swept.work))
    return [sweep.duty for sweep in sweeps]


def _sweep(core: Core, name: str, work: FulfillmentWork) -> Sweep:
    return Sweep(name, core.database, due_of(work.share.types), work.work)


def _duties(core: Core) -> list[Duty]:
    database = core.database
    overdue = OverdueOrders(database, OrderLookup(database, core.gateway, core.waker, core.clock))
    refunding = Refunding(database, core.gateway, core.waker, core.clock)
    retention = Retention(database, timedelta(days=core.settings.retention_days), core.clock)
    return [
        Sweep("refunds", database, due_refunds, refunding.resume).duty,
        Duty("sequence", TICK_SECONDS, lambda _: core.sequencer.tick()),
        Duty("reconcile", core.settings.reconcile_interval, core.reconciler.catch_up),
        Duty("overdue_orders", OVERDUE_SECONDS, lambda _: overdue.ask()),
        Duty("trim", TRIM_SECONDS, retention.trim),
    ]


async def _forwards(stack: AsyncExitStack, core: Core) -> list[Duty]:
    if not core.targets.urls:
        return []
    delivery = await stack.enter_async_context(open_delivery(core.webhook_secrets[0], core.clock))
    return forward_duties(core.targets.urls, core.database, delivery, core.clock, random.random)


def _holder() -> str:
    """Name this run of this process, for whoever reads who has which duty."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
