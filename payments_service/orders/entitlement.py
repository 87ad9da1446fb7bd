"""What an order entitles to, and until when: a projection of its fulfillments that stand fulfilled.

Access outlasts what is paid for by the grace of a renewal that may still succeed, and not where the subscription ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from payments_service.contract.pb.payments.v1.purchase_pb2 import Purchase
from payments_service.orders.order_facts import OrderFacts, facts_from_json
from payments_service.orders.purchase_rules import quantity_of, resource_of
from payments_service.orders.states import FulfillmentState
from payments_service.storage.database import Connection
from payments_service.storage.entitlement_rows import change_entitlement, find_entitlement, grant_entitlement
from payments_service.storage.fulfillment_rows import FulfillmentRow
from payments_service.storage.order_rows import OrderRow


@dataclass(frozen=True, slots=True)
class Span:
    """Until when something is paid for, and until when it may be used; None is for ever."""

    expire_time: datetime | None
    access_end_time: datetime | None


def span_of(fulfilled: Sequence[FulfillmentRow], facts: OrderFacts, grace_days: int) -> Span:
    """Project the periods of what is fulfilled."""
    ends = [row.period_end for row in fulfilled]
    known = [end for end in ends if end is not None]
    if not known or len(known) < len(ends):
        return Span(None, None)
    expire_time = max(known)
    grace = timedelta() if facts.subscription.ended else timedelta(days=grace_days)
    return Span(expire_time, expire_time + grace)


def fulfilled_rows(rows: Sequence[FulfillmentRow]) -> list[FulfillmentRow]:
    """Pick what stands fulfilled."""
    return [row for row in rows if row.state == FulfillmentState.FULFILLED and not row.revoke_due]


async def entitle(
    tx: Connection, order: OrderRow, fulfilled: Sequence[FulfillmentRow], grace_days: int, now: datetime
) -> bool:
    """Write what the order entitles to; False where its purchase names no resource."""
    purchase = Purchase.FromString(order.purchase)
    resource = resource_of(purchase)
    if resource is None:
        return False
    span = span_of(fulfilled, facts_from_json(order.facts), grace_days)
    values = {
        "order_id": order.order_id,
        "organization_id": order.organization_id,
        "user_id": order.user_id,
        "resource": resource,
        "purchase_type": order.purchase_type,
        "quantity": quantity_of(purchase),
        "grant_time": now,
        "expire_time": span.expire_time,
        "grace_days": grace_days,
        "access_end_time": span.access_end_time,
        "revoke_time": None,
    }
    await grant_entitlement(tx, values)
    return True


async def refresh_entitlement(
    tx: Connection, order_id: str, fulfilled: Sequence[FulfillmentRow], facts: OrderFacts, now: datetime
) -> None:
    """Bring an entitlement that was granted up to what is known now: extended, ended, or revoked."""
    held = await find_entitlement(tx, order_id)
    if held is None:
        return
    if not fulfilled:
        await change_entitlement(tx, order_id, {"revoke_time": held.revoke_time or now})
        return
    span = span_of(fulfilled, facts, held.grace_days)
    if (span, None) == (Span(held.expire_time, held.access_end_time), held.revoke_time):
        return
    values = {"expire_time": span.expire_time, "access_end_time": span.access_end_time, "revoke_time": None}
    await change_entitlement(tx, order_id, values)
