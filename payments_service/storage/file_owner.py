"""Makes one process the owner of a SQLite file: two that write one are refused, and its leases are nobody else's."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from sqlalchemy import update
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.errors import ConfigurationError
from payments_service.storage.tables import (
    duty_leases,
    fulfillments,
    orders,
    stripe_events,
    subscriber_members,
    subscriber_shards,
)

_LEASES = (
    orders.c.creation_lease_expire_time,
    stripe_events.c.lease_expire_time,
    fulfillments.c.lease_expire_time,
    duty_leases.c.expire_time,
    subscriber_shards.c.expire_time,
    subscriber_members.c.expire_time,
)


@contextmanager
def owning_file(url: str) -> Iterator[None]:
    """Own the file until the context ends, or the process does; raises ConfigurationError where another owns it."""
    path = make_url(url).database
    if not path or path == ":memory:":
        yield
        return
    with _open_lock(Path(f"{path}.lock")) as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"Another process has {path} open, and a SQLite file has one owner: stop it, or set "
                "PAYMENTS_DATABASE_URL to another file or to PostgreSQL."
            ) from error
        yield


def _open_lock(lock: Path) -> TextIO:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("w")
    except OSError as error:
        raise ConfigurationError(
            f"PAYMENTS_DATABASE_URL: {lock.with_suffix('')} cannot be opened or made ({error.strerror}): "
            "name a file in a folder that this process may write."
        ) from error


async def free_leases(tx: AsyncConnection) -> None:
    """Take all leases back: the owner of the file has just started, so whoever held one is dead."""
    for lease in _LEASES:
        await tx.execute(update(lease.table).where(lease.is_not(None)).values({lease.name: None}))
