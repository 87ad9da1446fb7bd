"""A process that moves orders and sequences what it stages, until a test kills it.

Run as `python -m event_log.log_child URL work|hold`; it says `ORDER VERSION` for each commit, or `held`.
"""

import asyncio
import random
import sys

from payments_service.event_log.sequencer import Sequencer
from payments_service.storage.database import Connection, Database, open_database
from payments_service.storage.log_rows import append_events, sequence_events
from payments_service.storage.order_rows import lock_order, update_order

from .log_scene import staged

ORDERS = ("ord_1", "ord_2", "ord_3")


async def move(tx: Connection, order_id: str) -> int:
    """Move an order as every transition does: lock it, then append its event."""
    order = await lock_order(tx, order_id)
    assert order is not None
    await asyncio.sleep(random.random() * 0.005)  # noqa: S311
    moved = await update_order(tx, order_id, {"version": order.version + 1})
    await append_events(tx, [staged(moved.version, order=order_id)])
    return moved.version


async def work(database: Database) -> None:
    """Move orders; sequencing runs beside it, so that a kill meets either anywhere."""
    sequencer = Sequencer(database, lambda: None)
    sequencing = asyncio.create_task(sequencer.run())
    while not sequencing.done():
        order_id = random.choice(ORDERS)  # noqa: S311
        version = await database.run(lambda tx, order_id=order_id: move(tx, order_id))  # type: ignore[misc]
        sequencer.poke()
        say(f"{order_id} {version}")


async def hold(database: Database) -> None:
    """Sequence and do not commit."""
    async with database.transaction() as tx:
        assert await sequence_events(tx)
        say("held")
        await asyncio.Event().wait()


def say(what: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def main(url: str, what: str) -> None:
    """Do it until killed."""
    async with open_database(url) as database:
        await {"work": work, "hold": hold}[what](database)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
