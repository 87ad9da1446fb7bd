"""What the log keeps of an event is what goes out: the same bytes whichever database made them, its cursor included."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, Table, insert, select

from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsResponse
from payments_service.event_log.cursor import cursor_at, encode_cursor
from payments_service.storage import migrations
from payments_service.storage.database import open_database
from payments_service.storage.log_frames import frame_event
from payments_service.storage.log_page_rows import read_page
from payments_service.storage.log_rows import create_head, read_head
from payments_service.storage.schema import migrate
from payments_service.storage.tables import event_log

from .log_scene import Scene, staged

# Around each size at which the length takes one byte more.
SIZES = (0, 40, 41, 88, 89, 90, 300, 16_344, 16_345, 70_000, 2_097_112, 2_097_113, 2_200_000)


async def test_each_event_lies_in_the_log_as_protobuf_would_write_it_with_its_cursor(scene: Scene) -> None:
    events = [staged(number, padding=size) for number, size in enumerate(SIZES, 1)]
    await scene.stage(*events)
    await scene.settle(len(events))

    async with scene.database.reading() as reading:
        log_id = (await read_head(reading)).log_id
        frames = (await reading.execute(select(event_log.c.frame).order_by(event_log.c.position))).scalars().all()
        page = await read_page(reading, 0, 100)

    cursors = [encode_cursor(cursor_at(log_id, position, event.event_id)) for position, event in enumerate(events, 1)]
    assert frames == [frame_event(event.body, cursor) for event, cursor in zip(events, cursors, strict=True)]
    assert page.frames == b"".join(frames)
    assert [event.cursor for event in StreamFulfillmentsResponse.FromString(page.frames).events] == cursors


async def test_a_page_holds_every_byte_of_its_frames_whatever_they_are(scene: Scene) -> None:
    bodies = [bytes([0] * 300), bytes(range(256)), b"\xff\xfe\x00\x80" * 50, "ü€😀".encode() * 20]
    events = [replace(staged(number), body=body) for number, body in enumerate(bodies, 1)]
    await scene.stage(*events)
    await scene.settle(len(bodies))

    async with scene.database.reading() as reading:
        page = await read_page(reading, 1, 2)
        frames = (await reading.execute(select(event_log.c.frame).order_by(event_log.c.position))).scalars().all()

    assert page.frames == frames[1] + frames[2]
    assert page.sizes == [len(frames[1]), len(frames[2])]
    assert page.positions == [2, 3]


BEFORE = "0005"
"""The last revision whose log held bodies."""
LOG_ID = UUID(int=7)
OLD_COLUMNS = {"organization_id": "org_1", "ordering_key": "ord_1", "order_version": 1, "purchase_type": "course"}


def old_event(position: int, event_id: str) -> dict[str, object]:
    now = datetime.now(UTC)
    return {
        **OLD_COLUMNS,
        "position": position,
        "event_id": event_id,
        "type": 1,
        "body": b"\x0a\x00",
        "occur_time": now,
        "sequence_time": now,
    }


def upgrade_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(next(iter(migrations.__path__)))))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


@pytest.mark.parametrize("count", [0, 3])
async def test_a_log_from_before_the_frames_is_framed_by_the_migration(blank_database_url: str, count: int) -> None:
    event_ids = [f"fev_{number}" for number in range(1, count + 1)]
    async with open_database(blank_database_url) as database:
        async with database.migrating() as tx:
            await tx.run_sync(upgrade_to, BEFORE)
            old_log = await tx.run_sync(lambda connection: Table("event_log", MetaData(), autoload_with=connection))
            await create_head(tx, LOG_ID)
            for position, event_id in enumerate(event_ids, 1):
                await tx.execute(insert(old_log).values(old_event(position, event_id)))
        await migrate(database)
        async with database.reading() as reading:
            page = await read_page(reading, 0, 10)

    cursors = [encode_cursor(cursor_at(LOG_ID, position, event_id)) for position, event_id in enumerate(event_ids, 1)]
    assert page.frames == b"".join(frame_event(b"\x0a\x00", cursor) for cursor in cursors)
