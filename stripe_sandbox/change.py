"""One move on the account: it keeps objects and tells of each in the order in which Stripe does; it decides nothing."""

from stripe_sandbox.account import SandboxAccount
from stripe_sandbox.json_types import JsonObject
from stripe_sandbox.session_object import KIND, shown_session

_ALSO_WITH_BEFORE = "charge.refunded"


class WrongStateError(Exception):
    """Raised when an object is not in the state that a move needs."""


class NotPlayedError(Exception):
    """Raised for what the sandbox does not play yet."""


class Change:
    """The events of one move, inside the caller's transaction."""

    def __init__(self, account: SandboxAccount, cause: JsonObject | None = None) -> None:
        self.account = account
        self.events: list[JsonObject] = []
        self._cause = cause

    @property
    def now(self) -> int:
        """Give the time of the move."""
        return self.account.clock.seconds()

    def keep(self, subject: JsonObject, *event_types: str) -> None:
        """Keep an object and emit what happened to it; an update tells what was there before."""
        ledger = self.account.ledger
        updates = any(map(_tells_before, event_types))
        before = ledger.find(subject["object"], subject["id"]) if updates else None
        ledger.put(subject)
        for event_type in event_types:
            seen = shown_session(subject, self.account.base_url) if subject["object"] == KIND else subject
            data: JsonObject = {"object": seen}
            if before is not None and _tells_before(event_type):
                data["previous_attributes"] = _previous(before, subject)
            self.events.append(self.account.emit_data(event_type, data, self._cause, len(self.events)))


def _tells_before(event_type: str) -> bool:
    return event_type.endswith(".updated") or event_type == _ALSO_WITH_BEFORE


def _previous(before: JsonObject, after: JsonObject) -> JsonObject:
    """Name what has changed with its value before, as deep as there are objects; lists are told whole."""
    changed: JsonObject = {}
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict) and old != new:
            changed[name] = _previous(old, new)
        elif old != new:
            changed[name] = old
    return dict(sorted(changed.items()))
