"""Asks Stripe what an event's object does not say, before the transaction that applies it; it writes nothing.

Only for orders of ours: a foreign event costs no call.
"""

from collections.abc import Mapping
from typing import Any

from payments_service.errors import StripeError
from payments_service.inbox.event_application import event_object, find_event_order
from payments_service.orders.invoice_facts import PAID_TYPES, observe_invoice
from payments_service.orders.observation import (
    CHARGE_REFUNDED_TYPE,
    READ_TYPES,
    SESSION_TYPES,
    Answers,
    InvoicePaymentSeen,
    InvoiceSeen,
    Observation,
    RefundSeen,
    SubscriptionSeen,
)
from payments_service.orders.order_facts import facts_from_json
from payments_service.orders.ownership import object_metadata
from payments_service.orders.stripe_json import rows
from payments_service.storage.database import Database
from payments_service.storage.inbox_rows import InboxRow
from payments_service.storage.order_rows import OrderRow
from payments_service.stripe_gateway.client import StripeGateway

BUDGET_SECONDS = 10.0
_NOTHING = Answers()


class Enquiry:
    """Knows which types need Stripe's word, and asks for it."""

    def __init__(self, database: Database, gateway: StripeGateway) -> None:
        """Take Stripe."""
        self._database = database
        self._gateway = gateway

    async def ask(self, event: InboxRow) -> Answers:
        """Ask what is missing; raises the gateway's errors, and then the event is tried again later."""
        if event.type not in READ_TYPES | PAID_TYPES | {CHARGE_REFUNDED_TYPE}:
            return _NOTHING
        async with self._database.reading() as reading:
            order = await find_event_order(reading, event)
        if order is None:
            return _NOTHING
        stripe_object = event_object(event)
        if event.type in READ_TYPES:
            return await self._subscription(event, order)
        if event.type in PAID_TYPES:
            return await self._invoice(event, stripe_object)
        return await self._refunds(event, stripe_object)

    async def ask_anew(self, event: InboxRow) -> Answers:
        """Read the object as it is now: an operator may have mended it at Stripe; else what was stored has to do."""
        if event.type not in SESSION_TYPES | PAID_TYPES:
            return await self.ask(event)
        gateway = self._gateway
        retrieve = gateway.retrieve_session if event.type in SESSION_TYPES else gateway.retrieve_invoice
        try:
            fresh = await retrieve(event.object_id, account=event.stripe_account, budget=BUDGET_SECONDS)
        except StripeError:
            return _NOTHING
        return Answers(stripe_object={**event_object(event), "metadata": object_metadata(fresh)})

    async def _subscription(self, event: InboxRow, order: OrderRow) -> Answers:
        asked_from = facts_from_json(order.facts).subscription
        now = await self._gateway.retrieve_subscription(
            event.object_id, account=event.stripe_account, budget=BUDGET_SECONDS
        )
        return Answers((SubscriptionSeen(now, "", asked_from),))

    async def _invoice(self, event: InboxRow, invoice: Mapping[str, Any]) -> Answers:
        """Recent API versions leave out which payment has paid an invoice: a refund will name only that."""
        seen: list[Observation] = [InvoiceSeen(invoice, event.type)]
        known = observe_invoice(invoice, event.type)
        if known.amount_paid and not (known.payment_intent_id or known.charge_id):
            paid = await self._gateway.list_invoice_payments(
                known.invoice_id, account=event.stripe_account, budget=BUDGET_SECONDS
            )
            seen += [InvoicePaymentSeen(payment) for payment in paid]
        return Answers(tuple(seen))

    async def _refunds(self, event: InboxRow, charge: Mapping[str, Any]) -> Answers:
        told = rows(charge.get("refunds"))
        refunds = told or await self._gateway.list_refunds(
            charge_id=event.object_id, account=event.stripe_account, budget=BUDGET_SECONDS
        )
        return Answers(tuple(RefundSeen(refund) for refund in refunds))
