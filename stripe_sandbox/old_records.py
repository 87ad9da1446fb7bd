"""Forgets what Stripe forgets: events after 30 days with their deliveries, idempotency keys after a day."""

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.event_operations import LISTED_SECONDS
from stripe_sandbox.idempotency_keys import KEPT_SECONDS

# A few milliseconds of work at a time; what is left is done at the next one.
_AT_ONCE = 500
_EVERY_SECONDS = 60.0
_OLD_EVENTS = "SELECT position FROM objects WHERE kind = 'event' AND created < :before ORDER BY created LIMIT :limit"
_OF_OLD_EVENTS = f"event IN (SELECT id FROM objects WHERE position IN ({_OLD_EVENTS}))"  # noqa: S608 - constants
_STATEMENTS = (
    f"DELETE FROM attempts WHERE delivery IN (SELECT number FROM deliveries WHERE {_OF_OLD_EVENTS})",  # noqa: S608
    f"DELETE FROM deliveries WHERE {_OF_OLD_EVENTS}",  # noqa: S608
    f"DELETE FROM objects WHERE position IN ({_OLD_EVENTS})",  # noqa: S608
)
_OLD_KEYS = (
    "DELETE FROM idempotency_keys WHERE rowid IN (SELECT rowid FROM idempotency_keys WHERE saved_at < ? LIMIT ?)"
)


class OldRecords:
    """Looks once a minute of the sandbox's clock, and again at once where there was much."""

    def __init__(self, account: SandboxAccount) -> None:
        self._account = account
        self._next_at = 0.0

    def forget(self) -> float:
        """Delete a bounded part of what is too old to be seen, and tell in how many seconds to come again."""
        now = self._account.clock.now()
        if now >= self._next_at:
            self._next_at = now + (0.0 if self._delete(now) else _EVERY_SECONDS)
        return self._next_at - now

    def _delete(self, now: float) -> bool:
        sql, events = self._account.ledger.connection.execute, {"before": int(now) - LISTED_SECONDS, "limit": _AT_ONCE}
        with self._account.ledger.transaction():
            deleted = [sql(_OLD_KEYS, (now - KEPT_SECONDS, _AT_ONCE)).rowcount]
            deleted += [sql(statement, events).rowcount for statement in _STATEMENTS]
        return _AT_ONCE in (deleted[0], deleted[-1])
