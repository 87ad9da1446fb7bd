"""Brings an order's fulfillments to what their payments allow: marks what is to be taken back or granted again.

Marking is all that happens here: a fulfiller does the work, and may need the outside world for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.orders.entitlement import fulfilled_rows, refresh_entitlement
from payments_service.orders.order_facts import OrderFacts
from payments_service.orders.order_parts import OrderBooks
from payments_service.orders.standing import Step, next_step, refunded_by_fulfillment, stands
from payments_service.orders.states import FulfillmentState, RefundState
from payments_service.orders.transition import Occurrence
from payments_service.storage.database import Connection
from payments_service.storage.fulfillment_rows import (
    FulfillmentRow,
    list_all_fulfillments,
    make_due,
    mark_fulfillment,
)


@dataclass(slots=True)
class Standing:
    """What was marked, what is to be told of it, and the books after it."""

    books: OrderBooks
    occurrences: list[Occurrence] = field(default_factory=list)
    due_fulfillment_ids: list[str] = field(default_factory=list)


async def apply_standing(
    tx: Connection, order_id: str, books: OrderBooks, facts: OrderFacts, now: datetime
) -> Standing:
    """Mark every fulfillment of the locked order whose payment stands otherwise than the fulfillment."""
    standing = Standing(books)
    refunded = _refunded(books)
    marked = False
    for row in books.payments:
        back = refunded.get(row.fulfillment_id, 0)
        step = next_step(row, standing=stands(row, facts, back), leased=_is_leased(row))
        if back != row.refunded_minor_units:
            await mark_fulfillment(tx, row.fulfillment_id, {"refunded_minor_units": back, "update_time": now})
        await _mark(tx, row, step, standing, now)
        marked = marked or back != row.refunded_minor_units or step is not Step.NONE
    if marked:
        standing.books = replace(books, payments=await list_all_fulfillments(tx, order_id))
    if any(row.claim_epoch for row in books.payments):
        await refresh_entitlement(tx, order_id, fulfilled_rows(standing.books.payments), facts, now)
    return standing


async def _mark(tx: Connection, row: FulfillmentRow, step: Step, standing: Standing, now: datetime) -> None:
    match step:
        case Step.NONE:
            return
        case Step.REVOKE:
            await make_due(tx, row.fulfillment_id, {"revoke_due": True, "update_time": now})
            standing.due_fulfillment_ids.append(row.fulfillment_id)
        case Step.KEEP:
            await _keep(tx, row, now)
            standing.due_fulfillment_ids.append(row.fulfillment_id)
        case Step.RESTORE:
            again = {"state": FulfillmentState.PENDING, "generation": row.generation + 1, "last_error": ""}
            await make_due(tx, row.fulfillment_id, {**again, "revoke_due": False, "update_time": now})
            standing.occurrences.append(Occurrence(FulfillmentEvent.TYPE_RESTORED, row.fulfillment_id))
            standing.due_fulfillment_ids.append(row.fulfillment_id)
        case _:
            assert_never(step)


async def _keep(tx: Connection, row: FulfillmentRow, now: datetime) -> None:
    """Call a revocation off before it began; what was still to be fulfilled is due again."""
    if row.state == FulfillmentState.PENDING:
        await make_due(tx, row.fulfillment_id, {"revoke_due": False, "update_time": now})
    else:
        called_off = {"revoke_due": False, "next_attempt_time": None, "update_time": now}
        await mark_fulfillment(tx, row.fulfillment_id, called_off)


def _refunded(books: OrderBooks) -> Mapping[str, int]:
    return refunded_by_fulfillment(
        (row.fulfillment_id, row.amount_minor_units) for row in books.refunds if row.state == RefundState.SUCCEEDED
    )


def _is_leased(row: FulfillmentRow) -> bool:
    """A lease that ran out counts too: whoever takes it next asks again when it settles."""
    return row.lease_expire_time is not None
