"""What the fulfillment stream tells, what one may ask it for, and the durable subscribers of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from payments_client.enumerations import EventType, SubscriberState
from payments_client.order_types import Fulfillment, Order, Refund


class Start(Enum):
    """Where to begin where there is no cursor yet."""

    EARLIEST = "EARLIEST"
    """With the oldest event that is kept."""
    LATEST = "LATEST"
    """With what happens from now on."""


StartAt = Start | datetime | bytes
"""A place of the log: its start, its end, a time, or strictly after a cursor."""


@dataclass(frozen=True, slots=True)
class UnclaimedStripeEvent:
    """An event of Stripe's that is not the payments service's own."""

    stripe_event_id: str
    stripe_type: str
    payload: bytes
    reason: str
    stripe_account: str
    livemode: bool
    api_version: str


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, with the order as it was after it: one event is enough to act on."""

    event_id: str
    """The same however often it is delivered: what is done once per id is done once."""
    type: EventType
    organization_id: str
    order_id: str
    order_version: int
    occur_time: datetime | None
    order: Order | None
    fulfillment: Fulfillment | None
    """The one that it is about."""
    refund: Refund | None
    unclaimed: UnclaimedStripeEvent | None
    cursor: bytes
    """Store it when the event is dealt with: a stream `after` it goes on strictly behind it."""
    attempt: int = 1
    """Which delivery by a durable subscriber this is, from 1."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What to be told of; an empty field narrows nothing."""

    organization_ids: Sequence[str] = ()
    purchase_types: Sequence[str] = ()
    types: Sequence[EventType] = ()
    """Empty: all but UNCLAIMED."""
    order_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A durable subscriber: the service keeps what it has acknowledged, and its members share the work."""

    name: str
    filter: EventFilter
    shard_count: int
    max_attempts: int
    backlog: int
    parked: int
    members: int
    create_time: datetime | None
    owner: str
    state: SubscriberState


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that used up its attempts, or that a handler set aside."""

    event: Event
    attempts: int
    last_reason: str
    park_time: datetime | None
