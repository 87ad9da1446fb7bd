"""Listens for PostgreSQL's word that the log has grown, on a direct connection of its own; a hint, and never more.

Whoever reads the log polls behind it: a notification may be lost, and a connection dead without anybody noticing.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import asyncpg
import structlog
from sqlalchemy.engine import make_url

from payments_service.storage.log_rows import LOG_CHANNEL

CONNECT_SECONDS = 5.0
PROBE_SECONDS = 10.0
"""How often the connection is asked whether it still stands: one that is cut off says nothing by itself."""
REPLY_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
_SETTINGS = {"application_name": "payments listen", "idle_session_timeout": "0"}
_log = structlog.get_logger(__name__)


class LogListener:
    """Runs as one task of a process that has streams."""

    def __init__(self, url: str, on_growth: Callable[[], None]) -> None:
        """Take whom to tell; a connection that is new tells too, for what came while there was none."""
        self._options = {**connection_options(url, _SETTINGS), "timeout": CONNECT_SECONDS}
        self._on_growth = on_growth
        self._failures = 0
        self.listening = False
        """Whether a notification would be heard now."""

    async def run(self) -> None:
        """Listen until cancelled, again after each failure of the connection."""
        while True:
            try:
                await self._listen()
            except Exception as error:  # a listener that died silently would be noticed by nobody
                self._complain(error)
            await asyncio.sleep(min(FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10), LONGEST_PAUSE_SECONDS))

    async def _listen(self) -> None:
        connection = await asyncpg.connect(**self._options)
        try:
            closed = asyncio.Event()
            connection.add_termination_listener(lambda _: closed.set())
            await connection.add_listener(LOG_CHANNEL, self._hear)
            self._failures, self.listening = 0, True
            self._on_growth()
            await _stand(connection, closed)
        finally:
            self.listening = False
            connection.terminate()

    def _hear(self, *_: object) -> None:
        self._on_growth()

    def _complain(self, error: Exception) -> None:
        """Say so once for each outage."""
        self._failures += 1
        if self._failures == 1:
            _log.warning("event_log.not_listening", error=f"{type(error).__name__}: {error}")


async def _stand(connection: asyncpg.Connection, closed: asyncio.Event) -> None:
    """Return when the connection is closed; raises where it does not answer."""
    while not closed.is_set():
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await closed.wait()
        except TimeoutError:
            await connection.execute("SELECT 1", timeout=REPLY_SECONDS)


def connection_options(url: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """Give what the driver needs for a direct connection to a server that takes writes."""
    parsed = make_url(url).difference_update_query(["prepared_statement_cache_size"])
    _, options = parsed.get_dialect()().create_connect_args(parsed)
    return {**options, "target_session_attrs": "read-write", "server_settings": dict(settings)}
