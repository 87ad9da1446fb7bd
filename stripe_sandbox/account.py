"""The Stripe account that the sandbox plays: its ledger, its clock, its faults, and the events that it emits."""

import asyncio
import copy
import json
import random

from stripe_sandbox.configuration import API_VERSION, SandboxConfig
from stripe_sandbox.delivery_queue import DeliveryQueue
from stripe_sandbox.fault_plan import FaultPlan
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.ledger import open_ledger
from stripe_sandbox.object_ids import new_object_id
from stripe_sandbox.virtual_clock import VirtualClock
from stripe_sandbox.webhook_targets import WebhookTargets


class SandboxAccount:
    """Everything that outlives one request; opened and closed by the application."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.base_url = f"http://{config.host}:{config.port}"
        self.ledger = open_ledger(config.database)
        self.clock = VirtualClock(config.now, self.ledger)
        self.queue = DeliveryQueue(self.ledger)
        self.targets = WebhookTargets(self.ledger, config)
        self.faults = FaultPlan.from_json(json.loads(self.ledger.setting("faults", "{}")))
        # Faults are drawn by chance, not secrets.
        self.chance = random.Random()  # noqa: S311
        self.deliveries_due = asyncio.Event()
        self.work_due = asyncio.Event()

    def acting_for(self, owner: str) -> "SandboxAccount":
        """Give this account as it works for a connected one: what it keeps, finds and emits is that one's."""
        if owner == self.ledger.owner:
            return self
        connected = copy.copy(self)
        connected.ledger = self.ledger.of(owner)
        return connected

    def holding(self, kind: str, object_id: str) -> "SandboxAccount":
        """Give the account whose object this is; where there is none, this one, which will not find it either."""
        return self.acting_for(self.ledger.owner_of(kind, object_id) or "")

    def emit(self, event_type: str, subject: JsonObject, request: JsonObject | None = None) -> JsonObject:
        """Keep an event that stands alone, and its deliveries, inside the caller's transaction."""
        return self.emit_data(event_type, {"object": subject}, request, 0)

    def emit_data(self, event_type: str, data: JsonObject, request: JsonObject | None, order: int) -> JsonObject:
        """Keep an event of a change; `order` is its place in it."""
        event: JsonObject = {
            "id": new_object_id("evt"),
            "object": "event",
            **({"account": self.ledger.owner} if self.ledger.owner else {}),
            "api_version": API_VERSION,
            "created": self.clock.seconds(),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": request or {"id": None, "idempotency_key": None},
            "type": event_type,
        }
        self.ledger.put(event)
        for endpoint in self.targets.listening(event):
            self._plan(event["id"], endpoint, order)
        return event

    def _plan(self, event_id: str, endpoint: str, order: int) -> None:
        webhooks = self.faults.webhooks
        for _ in range(1 + webhooks.duplicate):
            dropped = self.chance.random() < webhooks.drop
            delay = webhooks.delay_seconds + webhooks.shuffled_by(order)
            self.queue.plan(event_id, endpoint, self.clock.now() + delay, dropped=dropped)
        self.deliveries_due.set()

    def keep_faults(self, faults: FaultPlan) -> None:
        """Take up other faults for what follows."""
        self.faults = faults
        self.ledger.keep_setting("faults", json.dumps(faults.to_json()))

    def with_pending(self, event: JsonObject) -> JsonObject:
        """Show how many endpoints have not taken the event yet."""
        return {**event, "pending_webhooks": self.queue.pending(event["id"])}
