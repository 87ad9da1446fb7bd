"""Where a buyer may be sent back to; nothing here fetches a URL."""

from urllib.parse import urlsplit

MAX_LENGTH = 2_048
PLACEHOLDER = "{CHECKOUT_SESSION_ID}"
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def url_problem(url: str) -> str | None:
    """Say why a buyer cannot be sent there, None where they can."""
    bare = url.replace(PLACEHOLDER, "")
    if len(url) > MAX_LENGTH:
        return f"has {len(url)} characters, at most {MAX_LENGTH} are allowed"
    if any(character <= " " or character in '\\{}<>"^`|\x7f' or ord(character) > 127 for character in bare):
        return "holds a blank, a control or another character that a URL must encode"
    try:
        parts = urlsplit(bare)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if not host or "@" in parts.netloc or parts.scheme not in {"https", "http"}:
        return "must be an https:// URL with a host and without a user"
    if parts.scheme == "http" and host not in _LOCAL:
        return "must be https; http is for localhost alone"
    return None
