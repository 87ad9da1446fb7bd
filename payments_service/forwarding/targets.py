"""Which URLs get which of the events that are not ours: by the event's type, as the installation says.

An event can choose no address: the URLs come from PAYMENTS_FORWARD_URLS alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from payments_service.errors import ConfigurationError

VARIABLE = "PAYMENTS_FORWARD_URLS"
EXAMPLE = '{"customer.subscription.*": "https://plans.internal/webhooks/stripe"}'
WEBHOOK_PATH = "/webhooks/stripe"


@dataclass(frozen=True, slots=True)
class ForwardTargets:
    """Pattern to URL; an event goes once to each URL of which a pattern matches its type."""

    patterns: Mapping[str, str]

    @property
    def urls(self) -> list[str]:
        """Every URL once."""
        return sorted(set(self.patterns.values()))

    def urls_of(self, event_type: str) -> list[str]:
        """Name where an event of a type goes."""
        return sorted({url for pattern, url in self.patterns.items() if fnmatchcase(event_type, pattern)})


NO_TARGETS = ForwardTargets({})


def read_targets(text: str, own_urls: frozenset[str] = frozenset()) -> ForwardTargets:
    """Read the setting; raises ConfigurationError saying what is wrong with which entry."""
    if not text.strip():
        return NO_TARGETS
    try:
        patterns = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{VARIABLE} is no JSON ({error}); write for example {EXAMPLE}.") from error
    if not isinstance(patterns, dict) or not all(isinstance(url, str) for url in patterns.values()):
        raise ConfigurationError(f"{VARIABLE} must be a JSON object of type patterns to URLs, for example {EXAMPLE}.")
    for pattern, url in patterns.items():
        _check(pattern, url, own_urls)
    return ForwardTargets(patterns)


def _check(pattern: str, url: str, own_urls: frozenset[str]) -> None:
    parts = urlsplit(url)
    if not pattern or parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ConfigurationError(f"{VARIABLE}: {pattern!r} needs an http:// or https:// URL with a host and no user.")
    own = {(urlsplit(one).hostname, urlsplit(one).port) for one in own_urls}
    if parts.path.rstrip("/") == WEBHOOK_PATH and (parts.hostname, parts.port) in own:
        raise ConfigurationError(
            f"{VARIABLE}: {pattern!r} points back to this service's own bridge: events would loop."
        )
