"""Which event goes to which endpoint, when it is tried next, and what each attempt brought; rows only, no network."""

from collections.abc import Collection
from dataclasses import dataclass

from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.ledger import Ledger

_COLUMNS = "SELECT number, event, endpoint, status, attempts, next_attempt_at FROM deliveries"
_OF_ALL = _COLUMNS + " ORDER BY number DESC LIMIT :limit"
_OF_EVENT = _COLUMNS + " WHERE event = :event ORDER BY number DESC LIMIT :limit"


@dataclass(frozen=True)
class DueDelivery:
    """A delivery whose time has come."""

    number: int
    event: str
    endpoint: str
    attempts: int


@dataclass(frozen=True)
class AttemptResult:
    """What came of one attempt: a status, or the error that stood in its place."""

    at: float
    milliseconds: float
    status: int | None
    error: str | None

    @property
    def accepted(self) -> bool:
        """Only 2xx counts; a redirect is a failure."""
        return self.status is not None and 200 <= self.status < 300


class DeliveryQueue:
    """Deliveries are pending, succeeded, failed (tries used up) or dropped (by a fault)."""

    def __init__(self, ledger: Ledger) -> None:
        self._sql = ledger.connection.execute

    def plan(self, event_id: str, endpoint: str, at: float, *, dropped: bool = False) -> int:
        """Add a delivery."""
        cursor = self._sql(
            "INSERT INTO deliveries (event, endpoint, status, next_attempt_at) VALUES (?, ?, ?, ?)",
            (event_id, endpoint, "dropped" if dropped else "pending", None if dropped else at),
        )
        return int(cursor.lastrowid or 0)

    def due(self, endpoint: str, now: float, busy: Collection[int], limit: int) -> list[DueDelivery]:
        """List an endpoint's deliveries whose time has come and which are not on their way."""
        rows = self._sql(
            "SELECT number, event, endpoint, attempts FROM deliveries WHERE status = 'pending' AND endpoint = ? "
            "AND next_attempt_at <= ? ORDER BY next_attempt_at, number LIMIT ?",
            (endpoint, now, limit + len(busy)),
        )
        return [DueDelivery(*row) for row in rows if row[0] not in busy][:limit]

    def next_due(self, endpoint: str, after: float) -> float | None:
        """Tell when an endpoint's next delivery after a time is due."""
        row = self._sql(
            "SELECT min(next_attempt_at) FROM deliveries WHERE status = 'pending' AND endpoint = ? "
            "AND next_attempt_at > ?",
            (endpoint, after),
        ).fetchone()
        return None if row is None or row[0] is None else float(row[0])

    def hasten(self, endpoint: str, now: float) -> None:
        """Try at once what failed before and waits: the endpoint has another address."""
        self._sql(
            "UPDATE deliveries SET next_attempt_at = ? WHERE status = 'pending' AND endpoint = ? AND attempts > 0 "
            "AND next_attempt_at > ?",
            (now, endpoint, now),
        )

    def settle(self, delivery: DueDelivery, result: AttemptResult, next_at: float | None) -> None:
        """Write down an attempt, and either the end or the next time."""
        self._sql(
            "INSERT INTO attempts (delivery, attempt, at, milliseconds, status, error) VALUES (?, ?, ?, ?, ?, ?)",
            (delivery.number, delivery.attempts + 1, result.at, result.milliseconds, result.status, result.error),
        )
        status = "succeeded" if result.accepted else "failed" if next_at is None else "pending"
        self._sql(
            "UPDATE deliveries SET status = ?, attempts = attempts + 1, next_attempt_at = ? WHERE number = ?",
            (status, None if result.accepted else next_at, delivery.number),
        )

    def abandon(self, endpoint: str) -> None:
        """Forget what was to go to an endpoint that is removed."""
        self._sql("DELETE FROM deliveries WHERE endpoint = ? AND status != 'succeeded'", (endpoint,))

    def pending(self, event_id: str) -> int:
        """Count the endpoints that have not taken an event."""
        row = self._sql(
            "SELECT count(DISTINCT endpoint) FROM deliveries AS d WHERE event = ? AND NOT EXISTS (SELECT 1 FROM "
            "deliveries AS s WHERE s.event = d.event AND s.endpoint = d.endpoint AND s.status = 'succeeded')",
            (event_id,),
        ).fetchone()
        return int(row[0])

    def taken_by(self, event_id: str, endpoints: Collection[str]) -> bool:
        """Tell whether each of these endpoints that an event is for has taken it."""
        rows = self._sql(
            "SELECT endpoint, max(status = 'succeeded') FROM deliveries WHERE event = ? GROUP BY endpoint", (event_id,)
        )
        return all(taken for endpoint, taken in rows if endpoint in endpoints)

    def history(self, event_id: str | None, limit: int = 500) -> list[JsonObject]:
        """List deliveries with their attempts, newest first."""
        rows = self._sql(_OF_EVENT if event_id else _OF_ALL, {"event": event_id, "limit": limit}).fetchall()
        return [self._with_attempts(row) for row in rows]

    def _with_attempts(self, row: tuple[int, str, str, str, int, float | None]) -> JsonObject:
        number, event, endpoint, status, _, next_at = row
        tried = self._sql(
            "SELECT attempt, at, milliseconds, status, error FROM attempts WHERE delivery = ? ORDER BY number",
            (number,),
        )
        names = ("attempt", "at", "milliseconds", "status", "error")
        return {
            "delivery": number,
            "event": event,
            "endpoint": endpoint,
            "status": status,
            "next_attempt_at": next_at,
            "attempts": [dict(zip(names, attempt, strict=True)) for attempt in tried],
        }
