"""SQL of receiving: many of Stripe's events in one statement, each stored once however often it is delivered."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import insert
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.errors import PaymentsError
from payments_service.storage.column_types import database_now
from payments_service.storage.database import Database
from payments_service.storage.outages import name_cause
from payments_service.storage.receipt_statement import (
    POSTGRESQL_INSERT,
    postgresql_parameters,
    sqlite_parameters,
    sqlite_text,
)
from payments_service.storage.tables import stripe_events


class RowsRefusedError(PaymentsError):
    """Raised when the database takes a statement but not its rows: at least one of them is at fault."""


@dataclass(frozen=True, slots=True)
class NewStripeEvent:
    """An event as it is first stored; when it is due is for the database's clock to say."""

    stripe_event_id: str
    type: str
    stripe_account: str
    livemode: bool
    api_version: str
    payload: bytes
    """The body byte for byte."""
    object_id: str
    """Empty where the object has none, such as an upcoming invoice."""
    payment_intent_id: str | None
    charge_id: str | None
    invoice_id: str | None
    subscription_id: str | None
    source: str
    """`webhook` or `reconciler`."""
    state: int
    stripe_create_time: datetime
    receive_time: datetime


class StoredReceipt(NamedTuple):
    """How an event stands after it was received."""

    stripe_event_id: str
    state: int
    deliveries: int


async def store_receipts(database: Database, events: Iterable[NewStripeEvent]) -> dict[str, StoredReceipt]:
    """Insert what is new and count a delivery of what is not; all of it or nothing, and durable on return.

    An event may be among them several times. Rows go in by id, so that two processes that store the same events wait
    for each other and do not deadlock.
    """
    rows: dict[str, dict[str, Any]] = {}
    for event in events:
        row = rows.setdefault(event.stripe_event_id, _row(event))
        row["deliveries"] += 1
    ordered = [rows[stripe_event_id] for stripe_event_id in sorted(rows)]
    try:
        stored = await _execute(database, ordered)
    except (StatementError, sqlite3.Error, UnicodeError, OverflowError) as error:
        raise RowsRefusedError("The database refused an event.", cause=name_cause(error)) from error
    return {row[0]: StoredReceipt._make(row) for row in stored}


async def _execute(database: Database, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
    if database.dialect == "sqlite":
        return await database.execute_alone(sqlite_text(len(rows)), sqlite_parameters(rows))
    parameters = postgresql_parameters(rows)

    async def insert_all(writing: AsyncConnection) -> Sequence[Any]:
        return (await writing.execute(POSTGRESQL_INSERT, parameters)).all()

    return await database.run_at_once(insert_all)


async def probe_receipts(tx: AsyncConnection) -> None:
    """Do all that storing an event does but the commit; nothing is left."""
    savepoint = await tx.begin_nested()
    texts = dict.fromkeys(("stripe_event_id", "type", "source"), "")
    times = dict.fromkeys(("stripe_create_time", "receive_time"), database_now())
    await tx.execute(insert(stripe_events).values({**texts, **times, "livemode": False, "payload": b"", "state": 0}))
    await savepoint.rollback()


_FIELDS = tuple(NewStripeEvent.__dataclass_fields__)
_values_of = attrgetter(*_FIELDS)


def _row(event: NewStripeEvent) -> dict[str, Any]:
    row = dict(zip(_FIELDS, _values_of(event), strict=True))
    row["deliveries"] = 0
    return row
