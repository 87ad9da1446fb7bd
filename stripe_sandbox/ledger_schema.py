"""The tables of the sandbox's file, and the refusal of a file that another version of the sandbox has made."""

import sqlite3

# One more with each change of the tables: the sandbox's state is worth no migrations.
VERSION = 4
_TABLES = """
CREATE TABLE objects (
    position INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL, owner TEXT NOT NULL,
    created INTEGER NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (kind, id, owner));
-- Holds what lists filter by, so that what does not match is passed over without its body being read.
CREATE INDEX objects_by_age ON objects (kind, created, position, owner, type, id);
CREATE INDEX objects_by_payment_intent ON objects (json_extract(body, '$.payment_intent'))
    WHERE json_extract(body, '$.payment_intent') IS NOT NULL;
CREATE INDEX objects_by_invoice ON objects (json_extract(body, '$.invoice'))
    WHERE json_extract(body, '$.invoice') IS NOT NULL;
CREATE INDEX objects_by_charge ON objects (json_extract(body, '$.charge'))
    WHERE json_extract(body, '$.charge') IS NOT NULL;
CREATE INDEX appointments ON objects (json_extract(body, '$.at')) WHERE kind = 'appointment';
CREATE INDEX open_sessions ON objects (json_extract(body, '$.expires_at'))
    WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open';
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE idempotency_keys (
    owner TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
    request_id TEXT NOT NULL, saved_at REAL NOT NULL, PRIMARY KEY (owner, key));
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (saved_at);
CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL,
    status TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_attempt_at REAL);
CREATE INDEX deliveries_by_event ON deliveries (event);
CREATE INDEX deliveries_due ON deliveries (endpoint, next_attempt_at) WHERE status = 'pending';
CREATE INDEX deliveries_undone ON deliveries (event) WHERE status != 'succeeded';
CREATE TABLE attempts (
    number INTEGER PRIMARY KEY AUTOINCREMENT, delivery INTEGER NOT NULL, attempt INTEGER NOT NULL,
    at REAL NOT NULL, milliseconds REAL NOT NULL, status INTEGER, error TEXT);
CREATE INDEX attempts_by_delivery ON attempts (delivery);
"""


class OtherVersionError(sqlite3.DatabaseError):
    """Raised for a file whose tables are not this version's."""


def open_connection(path: str) -> sqlite3.Connection:
    """Open the file for one process alone; an empty one gets its tables."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=1, cached_statements=256)
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    # One process owns the file: two sandboxes on one state would be two Stripes with one set of ids.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables:
        for statement in filter(str.strip, _TABLES.split(";")):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    elif version != VERSION:
        raise OtherVersionError(f"it is of another version of the sandbox ({version}, this one is {VERSION})")
    connection.execute("COMMIT")
