"""One HTTP request as the endpoints see it: whole, with a body that is within the cap."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

MAX_QUERY = 2_048


@dataclass(frozen=True, slots=True)
class IncomingRequest:
    """Method, path, query, headers, body."""

    method: str
    path: str
    """As it came: nothing is decoded, so nothing but the exact paths is ever found."""
    query_text: bytes
    headers: dict[bytes, bytes]
    """By their names in lower case; several of one name are joined by commas."""
    body: bytes
    keep_alive: bool
    begun: float
    """When its first byte came, by time.perf_counter."""

    def header(self, name: bytes) -> str:
        """Give a header, empty where there is none; the name in lower case."""
        return self.headers.get(name, b"").decode("latin-1")

    def query(self) -> dict[str, str]:
        """Give the query's fields; none of them where it is no query."""
        if len(self.query_text) > MAX_QUERY:
            return {}
        return dict(parse_qsl(self.query_text.decode("latin-1"), errors="replace"))
