"""Looks for the session that an order's earlier calls may have made, where repeating them cannot tell any more."""

from datetime import timedelta
from typing import Any

from payments_service.storage.order_rows import OrderRow
from payments_service.stripe_gateway.client import StripeGateway

CLOCK_SLACK = timedelta(minutes=5)
"""Between our clock and Stripe's."""


async def search_session(gateway: StripeGateway, order: OrderRow, budget: float) -> dict[str, Any] | None:
    """Look through the sessions that Stripe made while this order's generation was tried."""
    first = order.creation_first_call_time or order.create_time
    last = order.creation_last_call_time or first
    return await gateway.find_session(
        order.order_id,
        since=first - CLOCK_SLACK,
        until=last + CLOCK_SLACK,
        account=order.stripe_account,
        budget=budget,
    )
