"""Faults that a test asks for: what goes wrong with webhooks and with API calls; it only describes them."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from stripe_sandbox.json_types import JsonObject

# Between the deliveries of one change, when they are to arrive in reverse.
REORDER_STEP_SECONDS = 0.05
_LONGEST_CHANGE = 16


class FaultError(Exception):
    """Raised when faults are asked for that do not exist; the message names the field."""


@dataclass(frozen=True)
class WebhookFaults:
    """Extra copies, reverse order, delay, and the share of deliveries that never leave."""

    duplicate: int = 0
    reorder: bool = False
    delay_seconds: float = 0.0
    drop: float = 0.0

    def shuffled_by(self, order: int) -> float:
        """Give the delay that makes the last event of a change the first to arrive."""
        return max(0, _LONGEST_CHANGE - order) * REORDER_STEP_SECONDS if self.reorder else 0.0


@dataclass(frozen=True)
class ApiFaults:
    """Latency and a status instead of an answer, before or after the call took effect.

    A latency or a 500 `after` stands for an unknown outcome: the call did its work.
    """

    latency_seconds: float = 0.0
    status: int = 0
    when: str = "before"
    probability: float = 1.0


@dataclass(frozen=True)
class FaultPlan:
    """All faults that are on."""

    webhooks: WebhookFaults = field(default_factory=WebhookFaults)
    api: ApiFaults = field(default_factory=ApiFaults)

    @classmethod
    def from_json(cls, wanted: JsonObject) -> "FaultPlan":
        """Read a request's faults; what is not named is off."""
        _refuse_unknown(wanted, {"webhooks", "api"}, "faults")
        webhooks = _read(WebhookFaults, wanted.get("webhooks") or {}, "webhooks")
        api = _read(ApiFaults, wanted.get("api") or {}, "api")
        if api.status not in (0, 429, 500):
            raise FaultError(f"api.status is {api.status}: it can be 429 or 500.")
        if api.when not in ("before", "after"):
            raise FaultError(f"api.when is {api.when!r}: it can be 'before' or 'after' the call takes effect.")
        for name, share in (("webhooks.drop", webhooks.drop), ("api.probability", api.probability)):
            if not 0 <= share <= 1:
                raise FaultError(f"{name} is {share}: a probability is between 0 and 1.")
        return cls(webhooks, api)

    def to_json(self) -> JsonObject:
        """Write all of them."""
        return asdict(self)

    def summary(self) -> str:
        """Name what differs from no faults, for people; empty where there is nothing."""
        on, off = self.to_json(), FaultPlan().to_json()
        told = (
            f"{part}.{name} {on[part][name]}" for part in on for name in on[part] if on[part][name] != off[part][name]
        )
        return ", ".join(told)


def _read(kind: type[Any], wanted: JsonObject, place: str) -> Any:  # noqa: ANN401 - one of the two fault types
    if not isinstance(wanted, dict):
        raise FaultError(f"{place} is not a JSON object.")
    _refuse_unknown(wanted, {f.name for f in fields(kind)}, place)
    values = {f.name: _typed(wanted[f.name], f.default, f"{place}.{f.name}") for f in fields(kind) if f.name in wanted}
    return kind(**values)


def _typed(value: object, default: object, place: str) -> object:
    kind = type(default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind or (isinstance(value, int | float) and value < 0):
        raise FaultError(f"{place} is {value!r}: it must be a {kind.__name__}, and no less than zero.")
    return value


def _refuse_unknown(wanted: JsonObject, known: set[str], place: str) -> None:
    unknown = sorted(set(wanted) - known)
    if unknown:
        raise FaultError(f"{place} has no {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
