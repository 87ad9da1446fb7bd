"""The sandbox's state in one SQLite file: objects as JSON, each owned by an account; what was answered is committed.

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
from stripe_sandbox.ledger_schema import open_connection

# SQLite would rather read every session than this partial index: a thousand times slower with many.
_OPEN_SESSIONS = (
    "SELECT id, owner, json_extract(body, '$.expires_at') FROM objects INDEXED BY open_sessions "
    "WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open' "
    "ORDER BY json_extract(body, '$.expires_at')"
)
_APPOINTMENTS = (
    "SELECT owner, body FROM objects INDEXED BY appointments WHERE kind = 'appointment' "
    "ORDER BY json_extract(body, '$.at') LIMIT 1"
)

Condition = tuple[str, object]
Place = tuple[int, int]


class Ledger:
    """The open file as one account sees it; the one of no name is the platform's own.

    Used from one thread, one transaction at a time, with nothing awaited inside.
    """

    def __init__(self, connection: sqlite3.Connection, owner: str = "") -> None:
        self.connection = connection
        self.owner = owner

    def of(self, owner: str) -> "Ledger":
        """Give the same file as another account sees it."""
        return Ledger(self.connection, owner)

    def close(self) -> None:
        """Fold the log into the file and let it go."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, or nothing of it."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def put(self, body: JsonObject, kind: str | None = None) -> None:
        """Keep an object under its id, in the place in the order where it first came."""
        text = json.dumps(body, separators=(",", ":"))
        self.connection.execute(
            "INSERT INTO objects (kind, id, owner, created, type, body) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (kind, id, owner) DO UPDATE SET body = excluded.body",
            (kind or body["object"], body["id"], self.owner, body.get("created", 0), body.get("type", ""), text),
        )

    def find(self, kind: str, object_id: object) -> JsonObject | None:
        """Get an object of this account, or None."""
        row = self.connection.execute(
            "SELECT body FROM objects WHERE kind = ? AND id = ? AND owner = ?", (kind, object_id, self.owner)
        ).fetchone()
        return _loaded(row[0]) if row else None

    def get(self, kind: str, object_id: str, param: str = "id", status: int = 404) -> JsonObject:
        """Get an object, or refuse as Stripe does."""
        body = self.find(kind, object_id)
        if body is None:
            raise no_such(kind, object_id, param, status)
        return body

    def delete(self, kind: str, object_id: str) -> None:
        """Forget an object."""
        self.connection.execute("DELETE FROM objects WHERE kind = ? AND id = ?", (kind, object_id))

    def owner_of(self, kind: str, object_id: str) -> str | None:
        """Tell whose an object is, whoever asks."""
        row = self.connection.execute(
            "SELECT owner FROM objects WHERE kind = ? AND id = ?", (kind, object_id)
        ).fetchone()
        return None if row is None else str(row[0])

    def place(self, kind: str, object_id: object, param: str) -> Place:
        """Tell where an object stands, for a list's cursor."""
        row = self.connection.execute(
            "SELECT created, position FROM objects WHERE kind = ? AND id = ? AND owner = ?",
            (kind, object_id, self.owner),
        ).fetchone()
        if row is None:
            raise no_such(kind, str(object_id), param, status=400)
        return int(row[0]), int(row[1])

    def select(
        self, kind: str, conditions: Sequence[Condition] = (), limit: int = 100, ascending: bool = False
    ) -> list[JsonObject]:
        """List this account's objects, newest first unless told otherwise."""
        return self.select_of_all(kind, [("owner = ?", self.owner), *conditions], limit, ascending)

    def select_of_all(
        self,
        kind: str,
        conditions: Sequence[Condition] = (),
        limit: int = 100,
        ascending: bool = False,
        offset: int = 0,
    ) -> list[JsonObject]:
        """List the objects of all accounts; conditions are SQL of this package, never of a caller."""
        where = "".join(f" AND {sql}" for sql, _ in conditions)
        way = "ASC" if ascending else "DESC"
        rows = self.connection.execute(
            f"SELECT body FROM objects WHERE kind = ?{where} "  # noqa: S608 - conditions are constants of this package
            f"ORDER BY created {way}, position {way} LIMIT ? OFFSET ?",
            (kind, *_flat(conditions), limit, offset),
        )
        return [_loaded(body) for (body,) in rows]

    def count(self, kind: str) -> int:
        """Count the objects of all accounts."""
        return int(self.connection.execute("SELECT count(*) FROM objects WHERE kind = ?", (kind,)).fetchone()[0])

    def overdue_sessions(self, now: int, limit: int) -> list[tuple[str, str]]:
        """Name open sessions whose time is over, and their owners, the earliest first."""
        rows = self.connection.execute(f"{_OPEN_SESSIONS} LIMIT ?", (limit,))
        return [(session_id, owner) for session_id, owner, expires_at in rows if expires_at <= now]

    def next_expiry(self) -> int | None:
        """Tell when the next open session's time is over."""
        row = self.connection.execute(f"{_OPEN_SESSIONS} LIMIT 1").fetchone()
        return None if row is None else int(row[2])

    def next_appointment(self) -> tuple[str, JsonObject] | None:
        """Give the earliest of all appointments, and whose it is."""
        row = self.connection.execute(_APPOINTMENTS).fetchone()
        return None if row is None else (str(row[0]), _loaded(row[1]))

    def setting(self, name: str, default: str) -> str:
        """Read a value that outlives a restart."""
        row = self.connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else default

    def keep_setting(self, name: str, value: str) -> None:
        """Write a value that outlives a restart."""
        self.connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))


def open_ledger(path: Path) -> Ledger:
    """Open the file, or make it; a file that cannot be used is refused with what to do."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Ledger(open_connection(str(path)))
    except (OSError, sqlite3.DatabaseError) as error:
        raise SandboxRefusedError(
            f"The sandbox cannot use its database {path}: {error}. If another sandbox is running with it, stop that "
            "one; if the file is of no use any more, delete it; or set PAYMENTS_SANDBOX_DATABASE to another path."
        ) from error


def _loaded(body: str) -> JsonObject:
    loaded: JsonObject = json.loads(body)
    return loaded


def _flat(conditions: Sequence[Condition]) -> list[object]:
    values: list[object] = []
    for _, value in conditions:
        values.extend(value if isinstance(value, tuple) else (value,))
    return values
