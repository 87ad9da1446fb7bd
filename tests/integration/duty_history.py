"""What was written under duties' leases, as the database kept it, and the judgement of it.

It shares nothing with the leases' own code: an accepted write is a row, and rows are numbered as they were written.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import insert, select

from payments_service.storage.database import Connection, Database
from payments_service.storage.tables import timeline


class DutyWrite(NamedTuple):
    """One write that the database took."""

    duty: str
    epoch: int
    holder: str


async def note_write(tx: Connection, write: DutyWrite) -> None:
    """Write as a duty does; the transaction is the caller's."""
    row = {"order_id": write.duty, "summary": str(write.epoch), "reference": write.holder}
    await tx.execute(insert(timeline).values(stage="duty", time=datetime.now(UTC), **row))


async def read_writes(database: Database) -> list[DutyWrite]:
    """Read all that was written, in the order of writing."""
    columns = (timeline.c.order_id, timeline.c.summary, timeline.c.reference)
    async with database.reading() as reading:
        rows = await reading.execute(select(*columns).where(timeline.c.stage == "duty").order_by(timeline.c.id))
        return [DutyWrite(row[0], int(row[1]), row[2]) for row in rows]


def find_faults(writes: Sequence[DutyWrite]) -> list[str]:
    """Judge a history: epochs never go back, and each belongs to one holder."""
    faults: list[str] = []
    newest: dict[str, int] = defaultdict(int)
    holders: dict[tuple[str, int], str] = {}
    for write in writes:
        if write.epoch < newest[write.duty]:
            faults.append(f"{write} was accepted after epoch {newest[write.duty]}")
        newest[write.duty] = max(newest[write.duty], write.epoch)
        if holders.setdefault((write.duty, write.epoch), write.holder) != write.holder:
            faults.append(f"{write} shares its epoch with {holders[write.duty, write.epoch]}")
    return faults
