"""What was answered under an idempotency key, kept for 24 hours of the sandbox's clock, and which keys are at work."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from stripe_sandbox.api_error import StripeApiError
from stripe_sandbox.ledger import Ledger

KEPT_SECONDS = 24 * 3600
LONGEST_KEY = 255
_REUSED = (
    "Keys for idempotent requests can only be used with the same parameters they were first used with. "
    "Try using a key other than '{key}' if you meant to execute a different request."
)
_IN_FLIGHT = (
    "There is currently another in-progress request using this Idempotent Key (that probably means you submitted "
    "twice, and the other request is still going through): {key}"
)


class OwnedKey(NamedTuple):
    """A key and the account that the call is for; the key is empty where the call has none."""

    owner: str
    key: str


@dataclass(frozen=True)
class SavedAnswer:
    """The answer that a key replays."""

    status: int
    body: str
    request_id: str


class IdempotencyKeys:
    """Keys belong to an account: one call at a time under each, and the same answer to the same call."""

    def __init__(self, ledger: Ledger) -> None:
        self._sql = ledger.connection.execute
        self._at_work: set[OwnedKey] = set()

    @contextmanager
    def hold(self, key: OwnedKey) -> Iterator[None]:
        """Keep a key for one call; refuse a second one meanwhile."""
        if not key.key:
            yield
            return
        if len(key.key) > LONGEST_KEY:
            raise StripeApiError(
                f"The idempotency key is longer than {LONGEST_KEY} characters.", kind="idempotency_error"
            )
        if key in self._at_work:
            raise StripeApiError(
                _IN_FLIGHT.format(key=key.key), status=409, kind="idempotency_error", code="idempotency_key_in_use"
            )
        self._at_work.add(key)
        try:
            yield
        finally:
            self._at_work.discard(key)

    def saved(self, key: OwnedKey, fingerprint: str, now: float) -> SavedAnswer | None:
        """Find the answer of the same call; another call under the same key is refused."""
        row = self._sql(
            "SELECT fingerprint, status, body, request_id FROM idempotency_keys "
            "WHERE owner = ? AND key = ? AND saved_at > ?",
            (*key, now - KEPT_SECONDS),
        ).fetchone()
        if row is None:
            return None
        if row[0] != fingerprint:
            raise StripeApiError(_REUSED.format(key=key.key), kind="idempotency_error")
        return SavedAnswer(*row[1:])

    def save(self, key: OwnedKey, fingerprint: str, answer: SavedAnswer, now: float) -> None:
        """Keep an answer, inside the transaction of what it tells."""
        self._sql(
            "INSERT OR REPLACE INTO idempotency_keys VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*key, fingerprint, answer.status, answer.body, answer.request_id, now),
        )


def fingerprint(method: str, path: str, form: object) -> str:
    """Digest a call: the same parameters in another order are the same call."""
    return hashlib.sha256(json.dumps([method, path, form], sort_keys=True).encode()).hexdigest()
