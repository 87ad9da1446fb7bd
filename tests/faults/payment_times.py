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


async def payment_times(database_url: str, order_ids: list[str]) -> list[float]:
    """Give the seconds of each order that is fulfilled and in the log, the quickest first."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        return [row[0] for row in await connection.fetch(TIMES, FULFILLED, order_ids)]
    finally:
        await connection.close()
