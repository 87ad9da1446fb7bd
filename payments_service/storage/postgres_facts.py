"""Reads how a PostgreSQL stands: its settings, our rights, its clock; it judges nothing and leaves nothing behind.

It connects as the processes do, so that what gets lost on the way, as in a pooler, is seen to be lost.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex

import asyncpg
from asyncpg.exceptions import TargetServerAttributeNotMatched

from payments_service.errors import StorageUnavailableError
from payments_service.storage.log_listener import connection_options
from payments_service.storage.postgres_engine import CONNECT_SECONDS, SESSION_SETTINGS
from payments_service.storage.tables import event_outbox, metadata

HEARING_SECONDS = 2.0
REPLY_SECONDS = 5.0
_ASKED_FOR = SESSION_SETTINGS | {"application_name": "payments doctor"}
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")

_SERVER = """
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::integer / 10000 AS major,
    pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS read_only,
    current_setting('server_encoding') AS encoding, current_setting('fsync') = 'on' AS fsync,
    current_setting('full_page_writes') = 'on' AS full_page_writes,
    to_regclass('alembic_version') IS NOT NULL AS has_schema,
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create, current_user::text AS user_name
"""
_CONNECTIONS = """
SELECT current_setting('max_connections')::integer AS most, rolconnlimit AS of_role, datconnlimit AS of_database,
    current_setting('superuser_reserved_connections')::integer
        + coalesce(current_setting('reserved_connections', true), '0')::integer AS reserved,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::integer AS in_use
FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()
"""
_MISSING_RIGHTS = """
SELECT rights.name || ' on ' || tables.name
FROM unnest($1::text[]) AS tables (name), unnest($2::text[]) AS rights (name)
WHERE to_regclass(tables.name) IS NOT NULL AND NOT has_table_privilege(to_regclass(tables.name), rights.name)
UNION ALL SELECT 'EXECUTE on ' || oid::regprocedure::text FROM pg_proc
WHERE oid = to_regprocedure('sequence_events(integer)') AND NOT has_function_privilege(oid, 'EXECUTE')
ORDER BY 1
"""
_MISSING_OBJECTS = """
SELECT name FROM unnest($1::text[]) AS tables (name) WHERE to_regclass(name) IS NULL
UNION ALL SELECT 'sequence_events()' WHERE to_regprocedure('sequence_events(integer)') IS NULL
"""
_NUMBERING = """
SELECT seqcache, seqincrement, seqcycle FROM pg_sequence
WHERE seqrelid = pg_get_serial_sequence($1, 'id')::regclass
"""
_LONGEST = """
SELECT max(clock_timestamp() - xact_start) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections there may be, -1 for no limit of its own, and how many there are."""

    most: int
    reserved: int
    of_role: int
    of_database: int
    in_use: int


@dataclass(frozen=True, slots=True)
class PostgresFacts:
    """What a server and a database say of themselves."""

    version: str
    major: int
    standby: bool
    read_only: bool
    encoding: str
    fsync: bool
    full_page_writes: bool
    user: str
    may_create: bool
    revision: str | None
    lost_settings: Mapping[str, str]
    """Settings that we asked for and do not have, with what is there instead."""
    hears: bool
    """Whether a notification reaches a connection that waits for it."""
    clock_lead: timedelta
    """How far its clock is ahead of ours."""
    connections: ConnectionLimits
    numbering: tuple[int, int, bool] | None
    """Cache, increment and cycling of the outbox's identity; None where there is none."""
    missing_objects: tuple[str, ...]
    missing_rights: tuple[str, ...]
    longest_transaction: timedelta


async def read_postgres_facts(url: str) -> PostgresFacts:
    """Read them; raises StorageUnavailableError with the driver's error as its cause."""
    async with _connected(url) as reading, _connected(url) as listening:
        server = await reading.fetchrow(_SERVER)
        tables = sorted(metadata.tables)
        has_schema = server["has_schema"]
        found = await reading.fetchrow(_NUMBERING, event_outbox.name) if has_schema else None
        return PostgresFacts(
            **{name: server[name] for name in _SAME_NAMES},
            user=server["user_name"],
            revision=await reading.fetchval("SELECT version_num FROM alembic_version") if has_schema else None,
            lost_settings=await _lost_settings(reading),
            hears=server["standby"] or await _hears(reading, listening),
            clock_lead=await _clock_lead(reading),
            connections=ConnectionLimits(**dict(await reading.fetchrow(_CONNECTIONS))),
            numbering=tuple(found) if found else None,
            missing_objects=await _names(reading, _MISSING_OBJECTS, tables) if has_schema else (),
            missing_rights=await _names(reading, _MISSING_RIGHTS, tables, RIGHTS) if has_schema else (),
            longest_transaction=await reading.fetchval(_LONGEST) or timedelta(),
        )


_SAME_NAMES = ("version", "major", "standby", "read_only", "encoding", "fsync", "full_page_writes", "may_create")


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await _connect(url)
        try:
            yield connection
        finally:
            connection.terminate()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StorageUnavailableError("The database cannot be asked.") from error


async def _connect(url: str) -> asyncpg.Connection:
    """Connect where writes are taken, else wherever an answer comes from: a standby is to be named as one."""
    # Without a cache no statement has a name, which a pooler could lose.
    limits = {"timeout": CONNECT_SECONDS, "command_timeout": REPLY_SECONDS, "statement_cache_size": 0}
    options = connection_options(url, _ASKED_FOR) | limits
    try:
        return await asyncpg.connect(**options)
    except TargetServerAttributeNotMatched:
        return await asyncpg.connect(**(options | {"target_session_attrs": "any"}))


async def _lost_settings(reading: asyncpg.Connection) -> dict[str, str]:
    """Compare in the server's own words: it writes 15000 and 15s alike as 15s."""
    rows = await reading.fetch(
        "SELECT name, current_setting(name) FROM unnest($1::text[]) AS wanted (name)", list(_ASKED_FOR)
    )
    return {name: value for name, value in rows if value != _ASKED_FOR[name]}


async def _hears(reading: asyncpg.Connection, listening: asyncpg.Connection) -> bool:
    heard = asyncio.Event()
    channel = f"payments_doctor_{token_hex(4)}"
    await listening.add_listener(channel, lambda *_: heard.set())
    await reading.execute(f"NOTIFY {channel}")
    try:
        async with asyncio.timeout(HEARING_SECONDS):
            await heard.wait()
    except TimeoutError:
        return False
    return True


async def _clock_lead(reading: asyncpg.Connection) -> timedelta:
    """Compare with the middle of the question's way."""
    before = datetime.now(UTC)
    theirs: datetime = await reading.fetchval("SELECT clock_timestamp()")
    return theirs - (before + (datetime.now(UTC) - before) / 2)


async def _names(reading: asyncpg.Connection, statement: str, *values: object) -> tuple[str, ...]:
    return tuple(row[0] for row in await reading.fetch(statement, *values))
