"""SQL that finds whose the ids are that Stripe's objects name, always within one Stripe account and mode."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.storage.tables import fulfillments, orders


@dataclass(frozen=True, slots=True)
class StripeIds:
    """What an object of Stripe's names; empty means that it names none."""

    account: str
    livemode: bool
    session_id: str = ""
    payment_intent_id: str = ""
    charge_id: str = ""
    invoice_id: str = ""
    subscription_id: str = ""


async def find_order_id(reading: AsyncConnection, named: StripeIds) -> str | None:
    """Find the order that one of the ids belongs to: as its own, or as one of its payments'."""
    of_order = {
        orders.c.checkout_session_id: named.session_id,
        orders.c.payment_intent_id: named.payment_intent_id,
        orders.c.subscription_id: named.subscription_id,
    }
    of_payment = {
        fulfillments.c.payment_intent_id: named.payment_intent_id,
        fulfillments.c.charge_id: named.charge_id,
        fulfillments.c.source_id: named.invoice_id,
    }
    own = [_order(named).where(column == value) for column, value in of_order.items() if value]
    paid = [_payment(named).where(column == value) for column, value in of_payment.items() if value]
    if not own and not paid:
        return None
    found = (await reading.execute(union_all(*own, *paid).limit(1))).first()
    return None if found is None else str(found[0])


def _order(named: StripeIds) -> Select[tuple[str]]:
    return select(orders.c.order_id).where(*_kept_apart(named))


def _payment(named: StripeIds) -> Select[tuple[str]]:
    return (
        select(orders.c.order_id)
        .join(fulfillments, fulfillments.c.order_id == orders.c.order_id)
        .where(*_kept_apart(named))
    )


def _kept_apart(named: StripeIds) -> list[ColumnElement[bool]]:
    return [orders.c.stripe_account == named.account, orders.c.livemode == named.livemode]
