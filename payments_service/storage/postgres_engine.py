"""PostgreSQL's engine: how many connections a process has, what each is set to, and when one is given up.

The guarantees lean on none of the server's defaults: isolation, durability and time limits are said here.
"""

from time import monotonic
from typing import Any

import asyncpg
from sqlalchemy import NullPool, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from payments_service.storage.outages import is_read_only_refusal

POOL_SIZE = 10
POOL_SECONDS = 5.0
"""How long a call waits for a connection; then the database counts as away."""
CONNECT_SECONDS = 5.0
REPLY_SECONDS = 20.0
"""Longer than a statement may take: a server that says nothing for so long is not there any more."""
TRANSACTION_SECONDS = 30
IDLE_SECONDS = 30.0
"""A connection that nobody used for so long is asked whether it still stands."""
PROBE_SECONDS = 2.0
_ALWAYS = {
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "synchronous_commit": "on",
    "jit": "off",
}
_LIMITS = {
    "application_name": "payments",
    "statement_timeout": "15s",
    "idle_in_transaction_session_timeout": "15s",
}
SESSION_SETTINGS = _ALWAYS | _LIMITS
"""What every connection of a process that serves is set to."""
_PATIENT = {
    "application_name": "payments migrate",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}


def pooled_engine(url: str, pool_size: int) -> AsyncEngine:
    """Make the engine of a process that serves."""
    engine = create_async_engine(
        url,
        isolation_level="READ COMMITTED",
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_recycle=1800,
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": REPLY_SECONDS,
            "target_session_attrs": "read-write",
            "server_settings": SESSION_SETTINGS,
        },
    )
    _limit_transactions(engine)
    _give_up_dead_connections(engine)
    _leave_demoted_servers(engine)
    return engine


def patient_engine(url: str) -> AsyncEngine:
    """Make the engine of a migration: one connection at a time, and an index may take its hours."""
    return create_async_engine(
        url,
        isolation_level="READ COMMITTED",
        hide_parameters=True,
        poolclass=NullPool,
        connect_args={
            "timeout": CONNECT_SECONDS,
            "target_session_attrs": "read-write",
            "server_settings": _ALWAYS | _PATIENT,
        },
    )


def looking_engine(url: str) -> AsyncEngine:
    """Make the engine of a look at whatever server answers, for one connection at a time."""
    return create_async_engine(
        url,
        hide_parameters=True,
        poolclass=NullPool,
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": REPLY_SECONDS,
            "server_settings": SESSION_SETTINGS | {"application_name": "payments doctor"},
        },
    )


def _limit_transactions(engine: AsyncEngine) -> None:
    """Let no transaction outlive its usefulness: an open one holds locks, and dead rows in everybody's way."""

    @event.listens_for(engine.sync_engine, "connect")
    def _limit(connection: Any, _: object) -> None:  # noqa: ANN401
        if connection.driver_connection.get_server_version().major >= 17:
            limit = f"SET transaction_timeout = '{TRANSACTION_SECONDS}s'"
            connection.run_async(lambda driver: driver.execute(limit))


def _give_up_dead_connections(engine: AsyncEngine) -> None:
    """Hand out no connection that is known to be dead, without asking the server before each transaction.

    A server that stops or crashes closes its connections, which the driver has noticed by the time of the next use.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def _note(_: object, record: Any) -> None:  # noqa: ANN401
        record.info["idle_since"] = monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _require_alive(connection: Any, record: Any, _: object) -> None:  # noqa: ANN401
        if connection.driver_connection.is_closed():
            raise DisconnectionError("The server has closed it.")
        if monotonic() - record.info.get("idle_since", monotonic()) > IDLE_SECONDS:
            connection.run_async(_probe)


async def _probe(connection: asyncpg.Connection) -> None:
    try:
        await connection.execute("SELECT 1", timeout=PROBE_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DisconnectionError("The server does not answer on it.") from error


def _leave_demoted_servers(engine: AsyncEngine) -> None:
    """Drop all connections to a server that has become a standby: new ones go to whoever takes writes."""

    @event.listens_for(engine.sync_engine, "handle_error")
    def _leave(context: Any) -> None:  # noqa: ANN401
        options = context.connection.get_execution_options() if context.connection else {}
        if is_read_only_refusal(context.original_exception) and not options.get("postgresql_readonly"):
            context.is_disconnect = True
