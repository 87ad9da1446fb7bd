"""The one statement that stores many events: arrays through the library on PostgreSQL, text and plain values on SQLite.

Both say the same on a conflict. On SQLite the library's way takes 8 visits to the driver's thread and 70 µs of CPU a
row at 16 rows, this one 2 visits and 40 µs (tests/benchmarks/webhook_rate.py shows what that gives). On PostgreSQL a
column is an array, so that one prepared statement serves batches of any size.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import String, Text, bindparam, column, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

from payments_service.storage.column_types import database_now
from payments_service.storage.dialects import Upsert
from payments_service.storage.tables import stripe_events

GIVEN = (
    "stripe_event_id",
    "type",
    "stripe_account",
    "livemode",
    "api_version",
    "payload",
    "object_id",
    "payment_intent_id",
    "charge_id",
    "invoice_id",
    "subscription_id",
    "source",
    "state",
    "deliveries",
    "stripe_create_time",
    "receive_time",
)
"""What a row is given; the database's clock says when it is due, and defaults do the rest."""


def _counting(start: Upsert) -> Any:  # noqa: ANN401  # RETURNING changes the type
    table = stripe_events.c
    return start.on_conflict_do_update(
        index_elements=[table.stripe_event_id], set_={"deliveries": table.deliveries + start.excluded.deliveries}
    ).returning(table.stripe_event_id, table.state, table.deliveries)


def _from_arrays() -> Upsert:
    types = {name: _plain(stripe_events.c[name].type) for name in GIVEN}
    arrays = [bindparam(name, type_=postgresql.ARRAY(plain)) for name, plain in types.items()]
    columns = [column(name, plain) for name, plain in types.items()]
    given = func.unnest(*arrays).table_valued(*columns, name="given").render_derived()
    rows = select(*given.c, database_now())
    return postgresql.insert(stripe_events).from_select([*GIVEN, "next_attempt_time"], rows)


def _plain(stored: TypeEngine[Any]) -> TypeEngine[Any]:
    """Give a type without a length, which an array of parameters would be cut to."""
    return Text() if isinstance(stored, String) else stored


# Made once: building it again costs as much as executing it.
POSTGRESQL_INSERT = _counting(_from_arrays())


def postgresql_parameters(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Give the values of all rows, column by column."""
    return {name: [row[name] for row in rows] for name in GIVEN}


_dialect = sqlite.dialect()
_compiled = _counting(sqlite.insert(stripe_events).values(next_attempt_time=database_now())).compile(
    dialect=_dialect, column_keys=GIVEN
)
_start, _, _rest = str(_compiled).partition(" VALUES ")
_row, _on_conflict, _end = _rest.partition(" ON CONFLICT ")
_converted = [
    (name, stripe_events.c[name].type.dialect_impl(_dialect).bind_processor(_dialect)) for name in _compiled.positiontup
]


@lru_cache(maxsize=512)
def sqlite_text(count: int) -> str:
    """Write the statement for so many rows."""
    return f"{_start} VALUES {', '.join([_row] * count)}{_on_conflict}{_end}"


def sqlite_parameters(rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Give the values of all rows in the order of the statement, as the driver takes them."""
    return [
        row[name] if convert is None or row[name] is None else convert(row[name])
        for row in rows
        for name, convert in _converted
    ]
