"""One attempt at one fulfillment, to hand it over or to take it back; it never raises what a fulfiller raised.

A plug-in runs outside any transaction, under a time limit and for no longer than its claim holds; our own fulfillers
run inside the transaction that settles them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from payments_service.errors import PaymentsError
from payments_service.fulfillment.claim_holding import holding_claim
from payments_service.fulfillment.outcome import Outcome, failed, fulfilled, later, revoked
from payments_service.fulfillment.plugin import FulfillerPlugin, FulfillmentTask
from payments_service.fulfillment.registry import FulfillerRegistry
from payments_service.fulfillment.settlement import AttemptLostError, Settled, settle
from payments_service.orders.order_message import fulfillment_message, order_message
from payments_service.orders.order_parts import parts_of
from payments_service.orders.states import FulfillmentState
from payments_service.retry_policy import RetryPolicy
from payments_service.scope import EVERYTHING
from payments_service.storage.database import Connection, Database
from payments_service.storage.fulfillment_rows import ALL_TYPES, FulfillmentRow, PurchaseTypes, claim_fulfillment
from payments_service.storage.order_rows import OrderRow, find_order, lock_order

LOCAL_LEASE_SECONDS = 15.0
"""What a worker that dies in the midst of our own fulfillers delays an order by."""
PLUGIN_LEASE_SECONDS = 15.0
"""Renewed for as long as the plug-in works."""
PLUGIN_SECONDS = 60.0
MAX_ERROR = 500


@dataclass(frozen=True, slots=True)
class Share:
    """Which fulfillments are worked on, and for how long one is nobody else's."""

    types: PurchaseTypes
    lease_seconds: float


ALL = Share(ALL_TYPES, PLUGIN_LEASE_SECONDS)


@dataclass(frozen=True, slots=True)
class Attempted:
    """What an attempt was at, how it ended, and what is due for work since."""

    fulfillment: FulfillmentRow
    outcome: Outcome
    due_fulfillment_ids: tuple[str, ...]


class FulfillmentAttempts:
    """Makes attempts; any number of processes may do so at the same time."""

    def __init__(
        self,
        database: Database,
        registry: FulfillerRegistry,
        retries: RetryPolicy,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
    ) -> None:
        """Take the clock and the chance that backoff is jittered by."""
        self._database = database
        self._registry = registry
        self._retries = retries
        self._clock = clock
        self._chance = chance

    async def attempt(self, fulfillment_id: str, share: Share) -> Attempted | None:
        """Work on it if it is due, nobody's and of our share, else None.

        Raises StorageUnavailableError and AttemptLostError.
        """
        async with self._database.at_once() as writing:
            claimed = await claim_fulfillment(
                writing, fulfillment_id, FulfillmentState.PENDING, share.lease_seconds, share.types
            )
        if claimed is None:
            return None
        if claimed.attempts > self._retries.max_attempts:
            died = "The last attempt did not end: its process died, or it outlived its lease."
            return await self._settled(claimed, failed(claimed.last_error or died))
        return await self._tried(claimed, share.lease_seconds)

    async def _tried(self, claimed: FulfillmentRow, lease_seconds: float) -> Attempted:
        plugin = self._registry.plugin_of(claimed.purchase_type)
        try:
            if claimed.revoke_due:
                await self._revoke(plugin, claimed, lease_seconds)
                return await self._settled(claimed, revoked())
            if plugin is None:
                return await self._settled_locally(claimed)
            result = await self._fulfill(plugin, claimed, lease_seconds)
            return await self._settled(claimed, fulfilled(result))
        except AttemptLostError:
            raise
        except Exception as error:  # whatever a fulfiller raises is a failed attempt
            return await self._settled(claimed, self._after(claimed, _sentence(error)))

    def _after(self, claimed: FulfillmentRow, error: str) -> Outcome:
        if self._retries.is_last(claimed.attempts):
            return failed(error)
        return later(error, self._retries.delay(claimed.attempts, self._chance), FulfillmentState(claimed.state))

    async def _fulfill(self, plugin: FulfillerPlugin, claimed: FulfillmentRow, lease_seconds: float) -> dict[str, str]:
        task = await self._task(claimed)
        async with holding_claim(self._database, claimed, lease_seconds, PLUGIN_SECONDS):
            result = await plugin.fulfill(task)
        return {str(key): str(value) for key, value in result.items()}

    async def _revoke(self, plugin: FulfillerPlugin | None, claimed: FulfillmentRow, lease_seconds: float) -> None:
        """Let a plug-in take back what any attempt of it may have done; the first claim has done nothing yet."""
        if plugin is None or claimed.claim_epoch <= 1:
            return
        task = await self._task(claimed)
        async with holding_claim(self._database, claimed, lease_seconds, PLUGIN_SECONDS):
            await plugin.revoke(task)

    async def _task(self, claimed: FulfillmentRow) -> FulfillmentTask:
        async with self._database.reading() as reading:
            order = await find_order(reading, claimed.order_id, EVERYTHING)
            parts = await parts_of(reading, claimed.order_id)
        if order is None:
            raise PaymentsError("The order of the fulfillment is gone.", order_id=claimed.order_id)
        return FulfillmentTask(
            idempotency_key=f"{claimed.fulfillment_id}-{claimed.generation}",
            order=order_message(order, parts),
            fulfillment=fulfillment_message(claimed),
        )

    async def _settled_locally(self, claimed: FulfillmentRow) -> Attempted:
        local = self._registry.local_of(claimed.purchase_type)
        async with self._database.transaction() as tx:
            order = await _locked(tx, claimed)
            now = self._clock()
            outcome = await local(tx, order, claimed, now)
            settled = await settle(tx, order, claimed, outcome, now)
        return _attempted(claimed, outcome, settled)

    async def _settled(self, claimed: FulfillmentRow, outcome: Outcome) -> Attempted:
        async with self._database.transaction() as tx:
            settled = await settle(tx, await _locked(tx, claimed), claimed, outcome, self._clock())
        return _attempted(claimed, outcome, settled)


def _attempted(claimed: FulfillmentRow, outcome: Outcome, settled: Settled) -> Attempted:
    return Attempted(claimed, outcome, settled.due_fulfillment_ids)


async def _locked(tx: Connection, claimed: FulfillmentRow) -> OrderRow:
    order = await lock_order(tx, claimed.order_id)
    if order is None:
        raise PaymentsError("The order of the fulfillment is gone.", order_id=claimed.order_id)
    return order


def _sentence(error: Exception) -> str:
    """Say what went wrong, for an operator: an event carries it, so it is kept short."""
    if isinstance(error, TimeoutError):
        return f"The fulfiller did not answer within {PLUGIN_SECONDS:.0f} s."
    text = error.message if isinstance(error, PaymentsError) else f"{type(error).__name__}: {error}"
    return text[:MAX_ERROR]
