"""RefundOrder: the refund's row is committed, then one lease holder asks Stripe, then the answer is folded.

Stripe's key derives from the row, so that a repetition is no second refund; an answer that was lost is looked for.
"""

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from payments_service.checkout.call_deadline import CallDeadline
from payments_service.checkout.refund_request import REASONS, check_refund_request, plan_refund, refund_digest
from payments_service.contract.pb.payments.v1.payments_pb2 import RefundOrderRequest, RefundOrderResponse
from payments_service.errors import (
    OrderNotFoundError,
    RequestIdReusedError,
    StripeError,
    StripeOutcomeUnknownError,
    StripeRejectedError,
)
from payments_service.identifiers import new_id
from payments_service.inbox.waker import Waker
from payments_service.orders.observation import RefundSeen
from payments_service.orders.order_fold import fold
from payments_service.orders.order_message import order_message, refund_message
from payments_service.orders.order_parts import parts_of
from payments_service.orders.refund_facts import OUR_KEY
from payments_service.orders.states import RefundState
from payments_service.scope import EVERYTHING, Caller
from payments_service.storage.database import Connection, Database
from payments_service.storage.fulfillment_rows import list_all_fulfillments
from payments_service.storage.order_rows import OrderRow, find_order, lock_order
from payments_service.storage.refund_rows import (
    RefundRow,
    claim_refund,
    find_refund_by_id,
    find_refund_by_request,
    insert_refund,
    list_refunds,
    update_refund,
)
from payments_service.storage.timeline_rows import TimelineRow, add_timeline_row
from payments_service.stripe_gateway.client import StripeGateway

KEY_LIFE = timedelta(hours=23)
LEASE_SECONDS = 15.0
"""What a process that dies while it asks Stripe delays the refund by; who asks meanwhile does so by the same key."""
RESUME_SECONDS = 25.0


class Refunding:
    """Gives money back, each refund once."""

    def __init__(self, database: Database, gateway: StripeGateway, waker: Waker, clock: Callable[[], datetime]) -> None:
        """Take Stripe, and whom to wake."""
        self._database = database
        self._gateway = gateway
        self._waker = waker
        self._clock = clock

    async def refund(self, request: RefundOrderRequest, caller: Caller, *, budget: float) -> RefundOrderResponse:
        """Refund a payment, or give what the same request has done; raises the contract's reasons."""
        deadline = CallDeadline(budget)
        check_refund_request(request)
        deadline.for_stripe()
        row = await self._begin(request, caller)
        if row.state == RefundState.REQUESTED and row.rejection is None:
            row = await self._ask(row, deadline) or row
        return await self._answer(row)

    async def resume(self, refund_id: str) -> None:
        """Ask for a refund whose caller went away before Stripe had answered; its failures are the next try's."""
        async with self._database.reading() as reading:
            row = await find_refund_by_id(reading, refund_id)
        if row is not None:
            with contextlib.suppress(StripeError):
                await self._ask(row, CallDeadline(RESUME_SECONDS))

    async def _begin(self, request: RefundOrderRequest, caller: Caller) -> RefundRow:
        """Commit the refund, or find the one that the same request has made."""
        request_id, digest = request.request_id.lower(), refund_digest(request)
        async with self._database.transaction() as tx:
            order = await lock_order(tx, request.order_id, caller.scope)
            if order is None:
                raise OrderNotFoundError(f"There is no order {request.order_id!r}.", order_id=request.order_id)
            known = await find_refund_by_request(tx, order.organization_id, caller.name, request_id)
            if known is None:
                return await self._insert(tx, request, caller, order)
        if known.request_digest != digest:
            raise RequestIdReusedError(
                f"The request id {request_id} has made another refund; make a new id for this one.",
                order_id=known.order_id,
            )
        return known

    async def _insert(self, tx: Connection, request: RefundOrderRequest, caller: Caller, order: OrderRow) -> RefundRow:
        payments = await list_all_fulfillments(tx, order.order_id)
        plan = plan_refund(request, order, payments, await list_refunds(tx, order.order_id))
        now = self._clock()
        values = {
            "refund_id": new_id("rfd"),
            "order_id": order.order_id,
            "organization_id": order.organization_id,
            "fulfillment_id": plan.payment.fulfillment_id,
            "payment_intent_id": plan.payment.payment_intent_id,
            "created_by": caller.name,
            "request_id": request.request_id.lower(),
            "request_digest": refund_digest(request),
            "amount_minor_units": plan.amount,
            "currency_code": plan.payment.currency_code,
            "reason": REASONS[request.reason],
            "state": RefundState.REQUESTED,
            "create_time": now,
            "update_time": now,
        }
        inserted = await insert_refund(tx, values)
        if inserted is None:
            raise LookupError(f"A refund of {order.order_id} with this id is there already.")
        line = TimelineRow(now, "rpc", f"{caller.name} asked to refund {plan.amount} minor units", inserted.refund_id)
        await add_timeline_row(tx, order.order_id, line)
        return inserted

    async def _ask(self, row: RefundRow, deadline: CallDeadline) -> RefundRow | None:
        """Ask Stripe and keep its answer; None where another is at it."""
        async with self._database.transaction() as tx:
            claimed = await claim_refund(tx, row.refund_id, RefundState.REQUESTED, LEASE_SECONDS, self._clock())
        if claimed is None:
            return None
        try:
            return await self._record(claimed, await self._made(claimed, deadline))
        except StripeRejectedError as refusal:
            return await self._reject(claimed, refusal)
        except StripeError as error:
            await self._release(claimed)
            raise _named(claimed, error) from error

    async def _made(self, row: RefundRow, deadline: CallDeadline) -> dict[str, Any]:
        """Give the refund as Stripe has it: found where an earlier try may have made it, else made now."""
        async with self._database.reading() as reading:
            order = await _order_of(reading, row)
        if row.asking_doubtful and (found := await self._found(row, order, deadline)):
            return found
        first_call = row.asking_first_call_time or self._clock()
        # Stripe forgets a key after a day; by then what an earlier try has made was looked for above.
        generation = int((self._clock() - first_call) / KEY_LIFE)
        try:
            return await self._gateway.create_refund(
                _parameters(row),
                idempotency_key=f"{row.refund_id}-{generation}",
                account=order.stripe_account,
                budget=deadline.for_stripe(),
            )
        except StripeOutcomeUnknownError:
            with contextlib.suppress(StripeError):
                if found := await self._found(row, order, deadline):
                    return found
            raise

    async def _found(self, row: RefundRow, order: OrderRow, deadline: CallDeadline) -> dict[str, Any] | None:
        listed = await self._gateway.list_refunds(
            payment_intent_id=row.payment_intent_id or "", account=order.stripe_account, budget=deadline.for_stripe()
        )
        return next((one for one in listed if (one.get("metadata") or {}).get(OUR_KEY) == row.refund_id), None)

    async def _record(self, row: RefundRow, refund: dict[str, Any]) -> RefundRow:
        async with self._database.transaction() as tx:
            order = await _locked_order(tx, row)
            folded = await fold(tx, order, [RefundSeen(refund)], self._clock())
            kept = await update_refund(tx, row.refund_id, {"asking_lease_expire_time": None, "asking_doubtful": False})
        self._waker.poke_log()
        for fulfillment_id in folded.due_fulfillment_ids:
            self._waker.wake_fulfillment(fulfillment_id)
        return kept

    async def _reject(self, row: RefundRow, refusal: StripeRejectedError) -> RefundRow:
        """Keep Stripe's refusal: the same request gets it again, and the money counts as not given back."""
        rejection = {"message": refusal.message, "metadata": dict(refusal.metadata)}
        values = {"state": RefundState.FAILED, "rejection": rejection, "asking_lease_expire_time": None}
        async with self._database.transaction() as tx:
            await _locked_order(tx, row)
            present = await find_refund_by_id(tx, row.refund_id)
            if present is None or (present.state, present.asking_epoch) != (RefundState.REQUESTED, row.asking_epoch):
                return present or row
            return await update_refund(tx, row.refund_id, {**values, "update_time": self._clock()})

    async def _release(self, row: RefundRow) -> None:
        """Let the next try have it; until it is looked for, this one may have succeeded."""
        async with self._database.transaction() as tx:
            await _locked_order(tx, row)
            await update_refund(tx, row.refund_id, {"asking_lease_expire_time": None})

    async def _answer(self, row: RefundRow) -> RefundOrderResponse:
        if row.rejection is not None:
            raise StripeRejectedError(row.rejection["message"], **row.rejection["metadata"])
        async with self._database.reading() as reading:
            order = await _order_of(reading, row)
            parts = await parts_of(reading, row.order_id)
            present = await find_refund_by_id(reading, row.refund_id)
        return RefundOrderResponse(order=order_message(order, parts), refund=refund_message(present or row))


async def _order_of(reading: Connection, row: RefundRow) -> OrderRow:
    order = await find_order(reading, row.order_id, EVERYTHING)
    if order is None:
        raise LookupError(f"The order {row.order_id} of a refund is gone.")
    return order


async def _locked_order(tx: Connection, row: RefundRow) -> OrderRow:
    order = await lock_order(tx, row.order_id)
    if order is None:
        raise LookupError(f"The order {row.order_id} of a refund is gone.")
    return order


def _parameters(row: RefundRow) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "payment_intent": row.payment_intent_id,
        "amount": row.amount_minor_units,
        "metadata": {OUR_KEY: row.refund_id, "order_id": row.order_id},
    }
    return parameters | ({"reason": row.reason} if row.reason else {})


def _named(row: RefundRow, error: StripeError) -> StripeError:
    if isinstance(error, StripeOutcomeUnknownError):
        return StripeOutcomeUnknownError(error.message, order_id=row.order_id)
    return error
