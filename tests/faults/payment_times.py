"""How long the service takes for a payment by its own clocks: from the event's row to the log's entry."""

import asyncpg

FULFILLED = 6
TIMES = """
SELECT extract(epoch FROM log.sequence_time - stored.receive_time)::float8
FROM event_log AS log
JOIN stripe_events AS stored ON stored.order_id = log.ordering_key AND stored.type = 'checkout.session.completed'
WHERE log.type = $1 AND log.ordering_key = ANY($2)
ORDER BY 1
"""

QUICKEST = """
SELECT min(extract(epoch FROM settle_time - receive_time))::float8 FROM stripe_events WHERE order_id = $1
"""
WOKEN_SECONDS = 0.45
"""The sweep looks only at what is half a second old: what is done sooner was woken."""


async def payment_times(database_url: str, order_ids: list[str]) -> list[float]:
    """Give the seconds of each order that is fulfilled and in the log, the quickest first."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        return [row[0] for row in await connection.fetch(TIMES, FULFILLED, order_ids)]
    finally:
        await connection.close()


async def was_woken(database_url: str, order_id: str) -> bool:
    """Say whether an event of an order that is done was done so soon that the broker must have told of it."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        return bool(await connection.fetchval(QUICKEST, order_id) < WOKEN_SECONDS)
    finally:
        await connection.close()
