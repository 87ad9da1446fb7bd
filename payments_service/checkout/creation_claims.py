"""Who may ask Stripe for an order's session, and what came of it: one lease holder, fenced by an epoch.

It never asks Stripe. Before anybody may, the order is committed as doubtful, so that a crash leaves no false certainty.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from payments_service.checkout.session_recorder import Session, SessionRecorder
from payments_service.errors import StripeError, StripeOutcomeUnknownError, StripeRejectedError
from payments_service.orders.states import PaymentState
from payments_service.storage.creation_rows import claim_creation, end_creation, insert_creation, read_creation
from payments_service.storage.database import Database
from payments_service.storage.order_rows import OrderRow, find_by_request, lock_order, update_order
from payments_service.storage.timeline_rows import TimelineRow, add_timeline_row

KEY_LIFE = timedelta(hours=23)
"""Stripe forgets an idempotency key after 24 hours; from then on it would make a second session."""
LEASE_MARGIN_SECONDS = 5.0
LONGEST_LEASE_SECONDS = 15.0
"""What a process that dies while it asks Stripe delays the caller's repetition by.

A call may take longer: who asks meanwhile does so by the same key, and Stripe answers one of the two.
"""
FREE: dict[str, Any] = {"creation_lease_expire_time": None}


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to ask Stripe for one order's session, until the lease runs out."""

    order: OrderRow
    doubtful: bool
    """Whether an earlier call may have made a session."""
    key_lives: bool
    """Whether Stripe still knows the present generation's idempotency key."""

    @property
    def idempotency_key(self) -> str:
        """The same for every try of a generation."""
        return f"{self.order.order_id}-{self.order.creation_generation}"


class CreationClaims:
    """Gives the right to call, and takes the answers of those who hold it; the others' change nothing."""

    def __init__(self, database: Database, recorder: SessionRecorder, clock: Callable[[], datetime]) -> None:
        """Take who folds the sessions."""
        self._database = database
        self._recorder = recorder
        self._clock = clock

    async def begin(self, values: dict[str, Any], seconds: float) -> Claim | OrderRow:
        """Commit a new order and claim it; gives the order that the caller's request id has already."""
        now = self._clock()
        async with self._database.transaction() as tx:
            order = await insert_creation(tx, values | _calling(now, now), _lease_seconds(seconds))
            if order is not None:
                line = TimelineRow(now, "rpc", f"{order.created_by} asked for a checkout", order.request_id)
                await add_timeline_row(tx, order.order_id, line)
                return Claim(order, doubtful=False, key_lives=True)
            known = await find_by_request(tx, values["organization_id"], values["created_by"], values["request_id"])
        if known is None:
            raise LookupError(f"The id {values['order_id']} is taken by another order.")
        return known

    async def find(self, organization_id: str, created_by: str, request_id: str) -> OrderRow | None:
        """Find the order that a request has made."""
        async with self._database.reading() as reading:
            return await find_by_request(reading, organization_id, created_by, request_id)

    async def take(self, order_id: str, seconds: float) -> Claim | OrderRow | None:
        """Claim an order that is still without an answer, give it where it has one; None where another is at work."""
        async with self._database.reading() as reading:
            order, free = await read_creation(reading, order_id)
        if order.payment_state != PaymentState.CREATING:
            return order
        return await self._claim(order_id, _lease_seconds(seconds)) if free else None

    async def _claim(self, order_id: str, lease_seconds: float) -> Claim | None:
        now = self._clock()
        async with self._database.transaction() as tx:
            order = await lock_order(tx, order_id)
            if order is None:
                return None
            first_call = order.creation_first_call_time or now
            key_lives = now - first_call < KEY_LIFE
            noted = _calling(first_call, now) if key_lives else {}
            claimed = await claim_creation(tx, order_id, PaymentState.CREATING, lease_seconds, noted)
        return None if claimed is None else Claim(claimed, order.creation_doubtful, key_lives)

    async def open(self, claim: Claim, session: Session) -> OrderRow | None:
        """Fold Stripe's session into the order; None where another has taken the claim over."""
        async with self._database.transaction() as tx:
            order = await end_creation(tx, claim.order.order_id, claim.order.creation_epoch)
            if order is None:
                return None
            folded = await self._recorder.fold(tx, order, session, "made the checkout session")
        self._recorder.wake(folded)
        return folded.order

    async def reject(self, claim: Claim, refusal: StripeRejectedError) -> OrderRow | None:
        """Keep Stripe's refusal as the order's end."""
        metadata = {**refusal.metadata, "order_id": claim.order.order_id}
        rejection = {"message": refusal.message, "metadata": metadata}
        changes = {"payment_state": PaymentState.REJECTED, "rejection": rejection, "creation_doubtful": False, **FREE}
        request = refusal.metadata.get("stripe_request_id", "")
        return await self._settle(claim, changes | {"update_time": self._clock()}, refusal.message, request)

    async def renew(self, claim: Claim) -> None:
        """Move to the next generation: it is proved that no session came of the present one."""
        changes = {
            "creation_generation": claim.order.creation_generation + 1,
            "creation_doubtful": False,
            "creation_first_call_time": None,
            "creation_last_call_time": None,
            **FREE,
        }
        await self._settle(claim, changes, "has no session of the earlier tries", claim.idempotency_key)

    async def release(self, claim: Claim, error: StripeError) -> None:
        """Let the next try have it; the timeline tells of the first failure and of the first doubt."""
        unknown = isinstance(error, StripeOutcomeUnknownError)
        told = not claim.doubtful if unknown else claim.order.creation_epoch == 1
        changes = {"creation_doubtful": unknown or claim.doubtful, **FREE}
        await self._settle(claim, changes, error.message if told else "", claim.idempotency_key)

    async def abandon(self, claim: Claim) -> None:
        """Let the next try have it at once, without knowing what came of this one."""
        await self._settle(claim, FREE, "", "")

    async def _settle(self, claim: Claim, changes: dict[str, Any], summary: str, reference: str) -> OrderRow | None:
        async with self._database.transaction() as tx:
            order = await lock_order(tx, claim.order.order_id)
            if order is None or order.payment_state != PaymentState.CREATING:
                return None
            if order.creation_epoch != claim.order.creation_epoch:
                return None
            if summary:
                line = TimelineRow(self._clock(), "stripe", summary, reference)
                await add_timeline_row(tx, order.order_id, line)
            return await update_order(tx, order.order_id, changes)


def _calling(first_call: datetime, now: datetime) -> dict[str, Any]:
    """Note a call that is about to be made."""
    return {
        "creation_doubtful": True,
        "creation_first_call_time": first_call,
        "creation_last_call_time": now,
    }


def _lease_seconds(call_seconds: float) -> float:
    return min(call_seconds + LEASE_MARGIN_SECONDS, LONGEST_LEASE_SECONDS)
