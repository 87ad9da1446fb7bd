"""Where a buyer may be sent back to; nothing here fetches a URL."""

from urllib.parse import SplitResult, urlsplit

MAX_LENGTH = 2_048
PLACEHOLDER = "{CHECKOUT_SESSION_ID}"
"""Stripe puts the session's id in its place."""
_STAND_IN = "CHECKOUT_SESSION_ID"
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_TO_BE_ENCODED = frozenset('\\{}<>"^`|')


def url_problem(url: str) -> str | None:
    """Say why a buyer cannot be sent there, None where they can."""
    filled = url.replace(PLACEHOLDER, _STAND_IN)
    if len(url) > MAX_LENGTH:
        return f"has {len(url)} characters, at most {MAX_LENGTH} are allowed"
    if not all("!" <= character <= "~" and character not in _TO_BE_ENCODED for character in filled):
        return "holds a blank, a control or another character that a URL must encode"
    try:
        parts = urlsplit(filled)
        _ = parts.port
    except ValueError:
        return "is not a URL"
    return _place_problem(parts)


def _place_problem(parts: SplitResult) -> str | None:
    host = parts.hostname
    if not host or "@" in parts.netloc or parts.scheme not in {"https", "http"}:
        return "must be an https:// URL with a host and without a user"
    if _STAND_IN in parts.netloc:
        return f"must have {PLACEHOLDER} in its path or query, not in the host"
    if parts.scheme == "http" and host not in _LOCAL:
        return "must be https; http is for localhost alone"
    return None
