"""The sandbox's state in one SQLite file: objects as JSON, deliveries as rows; what was answered is committed.

It knows no meaning of what it keeps. Losing power may lose the newest answers (a sandbox is no bank); a restart or
a killed process loses nothing.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stripe_sandbox.api_error import no_such
from stripe_sandbox.configuration import SandboxRefusedError
from stripe_sandbox.json_types import JsonObject

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    position INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL,
    created INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE (kind, id));
CREATE INDEX IF NOT EXISTS objects_by_position ON objects (kind, position);
CREATE INDEX IF NOT EXISTS objects_by_payment_intent ON objects (json_extract(body, '$.payment_intent'))
    WHERE json_extract(body, '$.payment_intent') IS NOT NULL;
CREATE INDEX IF NOT EXISTS open_sessions ON objects (json_extract(body, '$.expires_at'))
    WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open';
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS idempotency_keys (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
    request_id TEXT NOT NULL, saved_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL,
    status TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_attempt_at REAL);
CREATE INDEX IF NOT EXISTS deliveries_by_event ON deliveries (event);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (next_attempt_at) WHERE status = 'pending';
CREATE TABLE IF NOT EXISTS attempts (
    number INTEGER PRIMARY KEY AUTOINCREMENT, delivery INTEGER NOT NULL, attempt INTEGER NOT NULL,
    at REAL NOT NULL, milliseconds REAL NOT NULL, status INTEGER, error TEXT);
CREATE INDEX IF NOT EXISTS attempts_by_delivery ON attempts (delivery);
"""

# SQLite would rather read every session than this partial index: a thousand times slower with many.
_OPEN_SESSIONS = (
    "SELECT body, json_extract(body, '$.expires_at') FROM objects INDEXED BY open_sessions "
    "WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open' "
    "ORDER BY json_extract(body, '$.expires_at')"
)

Condition = tuple[str, object]


class Ledger:
    """The open file. Used from one thread, one transaction at a time, with nothing awaited inside."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=1, cached_statements=256)
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self.connection.close()
            raise SandboxRefusedError(
                f"The sandbox cannot use its database {path}: {error}. If another sandbox is running with it, stop "
                "that one or set PAYMENTS_SANDBOX_DATABASE to another path."
            ) from error

    def _prepare(self) -> None:
        # One process owns the file: two sandboxes on one state would be two Stripes with one set of ids.
        self.connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Fold the log into the file and let it go."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, or nothing of it."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def put(self, body: JsonObject, kind: str | None = None) -> None:
        """Keep an object under its id, in the place in the order where it first came."""
        self.connection.execute(
            "INSERT INTO objects (kind, id, created, body) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            (kind or body["object"], body["id"], body.get("created", 0), json.dumps(body, separators=(",", ":"))),
        )

    def find(self, kind: str, object_id: object) -> JsonObject | None:
        """Get an object, or None."""
        row = self.connection.execute(
            "SELECT body FROM objects WHERE kind = ? AND id = ?", (kind, object_id)
        ).fetchone()
        return self._loaded(row[0]) if row else None

    def get(self, kind: str, object_id: str, param: str = "id", status: int = 404) -> JsonObject:
        """Get an object, or refuse as Stripe does."""
        body = self.find(kind, object_id)
        if body is None:
            raise no_such(kind, object_id, param, status)
        return body

    def delete(self, kind: str, object_id: str) -> None:
        """Forget an object."""
        self.connection.execute("DELETE FROM objects WHERE kind = ? AND id = ?", (kind, object_id))

    def position(self, kind: str, object_id: object, param: str) -> int:
        """Tell where an object stands, for a list's cursor."""
        row = self.connection.execute(
            "SELECT position FROM objects WHERE kind = ? AND id = ?", (kind, object_id)
        ).fetchone()
        if row is None:
            raise no_such(kind, str(object_id), param, status=400)
        return int(row[0])

    def select(
        self, kind: str, conditions: Sequence[Condition] = (), limit: int = 100, ascending: bool = False
    ) -> list[JsonObject]:
        """List objects, newest first unless told otherwise; conditions are SQL of this package, never of a caller."""
        where = "".join(f" AND {sql}" for sql, _ in conditions)
        rows = self.connection.execute(
            f"SELECT body FROM objects WHERE kind = ?{where} "  # noqa: S608 - conditions are constants of this package
            f"ORDER BY position {'ASC' if ascending else 'DESC'} LIMIT ?",
            (kind, *_flat(conditions), limit),
        )
        return [self._loaded(body) for (body,) in rows]

    def expired_by(self, now: int, limit: int) -> list[JsonObject]:
        """List open sessions whose time is over, the earliest first."""
        rows = self.connection.execute(f"{_OPEN_SESSIONS} LIMIT ?", (limit,))
        return [self._loaded(body) for body, expires_at in rows if expires_at <= now]

    def next_expiry(self) -> int | None:
        """Tell when the next open session's time is over."""
        row = self.connection.execute(f"{_OPEN_SESSIONS} LIMIT 1").fetchone()
        return None if row is None else int(row[1])

    def setting(self, name: str, default: str) -> str:
        """Read a value that outlives a restart."""
        row = self.connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else default

    def keep_setting(self, name: str, value: str) -> None:
        """Write a value that outlives a restart."""
        self.connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    @staticmethod
    def _loaded(body: str) -> JsonObject:
        loaded: JsonObject = json.loads(body)
        return loaded


def _flat(conditions: Sequence[Condition]) -> list[object]:
    values: list[object] = []
    for _, value in conditions:
        values.extend(value if isinstance(value, tuple) else (value,))
    return values
