"""A course service: enrols who has paid for a course, and takes it back when the money goes back.

It is told by the payments service, as one of any number of replicas. What it is told may come twice, so the id of each
event is kept in the same transaction as what the event did. See README.md.
"""

import asyncio
import logging
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from payments_client import AsyncPaymentsClient, Course, Event, EventFilter, EventType, ParkEventError, Start

NAME = "course-service"
GAINED = (EventType.FULFILLED, EventType.RESTORED)
LOST = (EventType.REVOKED,)
TOLD = EventFilter(purchase_types=["course"], types=[*GAINED, *LOST])

_log = logging.getLogger(NAME)


class Enrolments:
    """Who may attend what, in a SQLite file."""

    def __init__(self, path: Path) -> None:
        """Take the file; it is made when there is none."""
        self._path = path
        with self._transaction() as tx:
            tx.execute("CREATE TABLE IF NOT EXISTS handled (event_id TEXT PRIMARY KEY)")
            tx.execute("CREATE TABLE IF NOT EXISTS enrolment (user_id TEXT, course_id TEXT, order_id TEXT PRIMARY KEY)")

    def handle(self, event: Event) -> None:
        """Do what an event asks for, once; it runs in a thread, and raises when it could not."""
        order = event.order
        if order is None or not isinstance(order.purchase, Course):
            raise ParkEventError("an event of the filter is always about a course")
        with self._transaction() as tx:
            if tx.execute("INSERT OR IGNORE INTO handled VALUES (?)", [event.event_id]).rowcount == 0:
                return
            if event.type in GAINED:
                enrolled = (order.user_id, order.purchase.course_id, order.order_id)
                tx.execute("INSERT OR REPLACE INTO enrolment VALUES (?, ?, ?)", enrolled)
            else:
                tx.execute("DELETE FROM enrolment WHERE order_id = ?", [order.order_id])
        _log.info("%s: %s, %s", event.type, order.user_id, order.purchase.course_id)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=30)) as connection, connection:
            yield connection


async def main() -> None:
    """Consume until SIGTERM or SIGINT, then finish what runs."""
    enrolments = Enrolments(Path(os.environ.get("COURSES_DATABASE", "courses.db")))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncPaymentsClient() as payments:
        await payments.subscribers.create(NAME, start=Start.EARLIEST, filter=TOLD, exist_ok=True)
        _log.info("Enrolling those who pay; Ctrl-C ends it.")
        await payments.consume(NAME, enrolments.handle, stop=stop)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(main())
