"""SQL of the duties' leases: each periodic duty has one holder at a time, by the database's clock, fenced by an epoch.

A duty's own writes go in a transaction that begins with `require_duty`: until it ends, nobody can take the duty over.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from payments_service.errors import PaymentsError
from payments_service.storage.column_types import database_now, database_now_plus
from payments_service.storage.dialects import insert_ignoring
from payments_service.storage.tables import duty_leases

FENCED_IDLE = "5s"
"""How long a process that was stopped within a fenced transaction can keep others from its duty."""


class DutyLostError(PaymentsError):
    """Raised when a duty has another holder now: nothing of this transaction may be committed."""


class Fence(NamedTuple):
    """The right to a duty; the epoch rises with each holder and is never reset."""

    duty: str
    epoch: int


class DutyLease(NamedTuple):
    """Who holds a duty, and until when unless it is renewed; nobody does where the holder is empty."""

    name: str
    holder: str
    epoch: int
    expire_time: datetime | None


async def enlist_duties(tx: AsyncConnection, names: Sequence[str]) -> None:
    """Make the leases of duties that are new."""
    await tx.execute(insert_ignoring(tx, duty_leases).values([{"name": name} for name in sorted(names)]))


async def list_free_duties(reading: AsyncConnection, names: Sequence[str]) -> list[str]:
    """List which of these duties nobody holds; a look takes no lock."""
    statement = select(duty_leases.c.name).where(duty_leases.c.name.in_(names), _free()).order_by(duty_leases.c.name)
    return list((await reading.execute(statement)).scalars())


async def take_duty(tx: AsyncConnection, name: str, holder: str, lease_seconds: float) -> Fence | None:
    """Take a free duty under a new epoch; None where another was faster, or where its last holder still writes."""
    free = select(duty_leases.c.name).where(duty_leases.c.name == name, _free()).with_for_update(skip_locked=True)
    if (await tx.execute(free)).first() is None:
        return None
    statement = (
        update(duty_leases)
        .where(duty_leases.c.name == name)
        .values(holder=holder, epoch=duty_leases.c.epoch + 1, expire_time=database_now_plus(lease_seconds))
        .returning(duty_leases.c.epoch)
    )
    return Fence(name, (await tx.execute(statement)).scalar_one())


async def renew_duties(writing: AsyncConnection, holder: str, lease_seconds: float) -> set[Fence]:
    """Hold on to all that a holder has; returns what that is. A lease that ran out unnoticed is still nobody else's."""
    statement = (
        update(duty_leases)
        .where(duty_leases.c.holder == holder)
        .values(expire_time=database_now_plus(lease_seconds))
        .returning(duty_leases.c.name, duty_leases.c.epoch)
    )
    return {Fence._make(row) for row in await writing.execute(statement)}


async def release_duties(writing: AsyncConnection, holder: str) -> None:
    """Let all go that a holder has."""
    statement = update(duty_leases).where(duty_leases.c.holder == holder).values(holder="", expire_time=None)
    await writing.execute(statement)


async def require_duty(tx: AsyncConnection, fence: Fence) -> None:
    """Raise DutyLostError unless the duty is still held under this epoch; it then is until the transaction ends.

    The lock is the weakest that taking a duty waits for; renewing does not.
    """
    mine = (duty_leases.c.name == fence.duty, duty_leases.c.epoch == fence.epoch)
    statement = select(_hurry(tx)).where(*mine).with_for_update(read=True, key_share=True)
    if (await tx.execute(statement)).first() is None:
        raise DutyLostError(f"The duty {fence.duty} has another holder by now.", duty=fence.duty)


async def list_duties(reading: AsyncConnection) -> list[DutyLease]:
    """List all leases, for whoever watches."""
    columns = (duty_leases.c.name, duty_leases.c.holder, duty_leases.c.epoch, duty_leases.c.expire_time)
    statement = select(*columns).order_by(duty_leases.c.name)
    return [DutyLease._make(row) for row in await reading.execute(statement)]


def _free() -> ColumnElement[bool]:
    return or_(duty_leases.c.expire_time.is_(None), duty_leases.c.expire_time < database_now())


def _hurry(tx: AsyncConnection) -> ColumnElement[str]:
    """Shorten, for this transaction, the time in which its process may do nothing."""
    if tx.dialect.name == "postgresql":
        return func.set_config("idle_in_transaction_session_timeout", FENCED_IDLE, True)
    return literal("")
