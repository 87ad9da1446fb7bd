"""What a fulfiller from outside looks like: an entry point of the group `payments.fulfillers`, named as its type.

It has side effects of its own, so it is called at least once for each generation: deduplicate by the key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from payments_service.contract.pb.payments.v1.order_pb2 import Fulfillment, Order

ENTRY_POINT_GROUP = "payments.fulfillers"


@dataclass(frozen=True, slots=True)
class FulfillmentTask:
    """What is to be fulfilled or revoked."""

    idempotency_key: str
    """The same on each attempt of one generation."""
    order: Order
    fulfillment: Fulfillment


@runtime_checkable
class FulfillerPlugin(Protocol):
    """Fulfills one purchase type; an exception is a failed attempt, and its text is shown to operators."""

    async def fulfill(self, task: FulfillmentTask) -> Mapping[str, str]:
        """Hand over what was paid; gives what came of it, such as a booking's number."""

    async def revoke(self, task: FulfillmentTask) -> None:
        """Take it back: the money was returned."""
