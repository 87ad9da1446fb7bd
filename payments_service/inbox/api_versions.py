"""Watches which API versions Stripe's events are written in: an unknown one is handled, and said so once.

Events are rendered by the endpoint's version, not by the SDK's; the fold reads what old and new versions write.
"""

import re
from dataclasses import dataclass, field

import structlog

NEWEST = "2026-10-28.endive"
"""The version that the SDK is pinned to, and the newest one that the fold was tried with."""
OLDEST = "2019-01-01"
_DATED = re.compile(r"(\d{4}-\d{2}-\d{2})(\.[a-z_]+)?")
_log = structlog.get_logger(__name__)


def is_known(version: str) -> bool:
    """Say whether events of this version were met before; without a version nothing can be said against it."""
    if not version:
        return True
    dated = _DATED.fullmatch(version)
    return dated is not None and OLDEST <= dated.group(1) <= NEWEST[:10]


@dataclass(frozen=True, slots=True)
class ApiVersionWatch:
    """Warns once a process for each version that is not known."""

    warned: set[str] = field(default_factory=set)

    def see(self, version: str, stripe_event_id: str) -> None:
        """Look at an event's version."""
        if version in self.warned or is_known(version):
            return
        self.warned.add(version)
        _log.warning(
            "event.unknown_api_version",
            api_version=version,
            newest_known=NEWEST,
            stripe_event_id=stripe_event_id,
            advice="it is handled; pin the webhook endpoint's version, or update the service",
        )
