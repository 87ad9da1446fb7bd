"""Where a stream starts, and how a start that the log cannot serve is refused: typed, never moved silently."""

import asyncio
import base64
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import delete, select, update

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import StartPosition
from payments_service.errors import (
    CursorAheadError,
    CursorDivergedError,
    CursorExpiredError,
    CursorInvalidError,
    InvalidRequestError,
    StartRequiredError,
)
from payments_service.event_log.cursor import cursor_at, decode_cursor, encode_cursor
from payments_service.event_log.stream_surroundings import StreamLimits
from payments_service.storage.tables import event_log, event_log_head

from .log_scene import EARLIEST, LATEST, LogPlace, Scene, StreamReader, at, ids, open_scene, staged

IMPATIENT = StreamLimits(ahead=0.2)


@pytest.fixture
async def scene(log_place: LogPlace) -> AsyncIterator[Scene]:
    async with open_scene(log_place, limits=IMPATIENT) as opened:
        yield opened


async def read_all(scene: Scene, start: StartPosition) -> StreamReader:
    reader = await scene.open(start)
    await reader.until("caught_up")
    return reader


def since(time: datetime) -> StartPosition:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return StartPosition(time=stamp)


async def trim(scene: Scene, through: int) -> None:
    """Let retention take its share, as a later job of the service will."""
    async with scene.database.transaction() as tx:
        await tx.execute(delete(event_log).where(event_log.c.position <= through))
        await tx.execute(update(event_log_head).values(trimmed_through=through))


@pytest.mark.parametrize("start", [StartPosition(), StartPosition(earliest=False), StartPosition(latest=False)])
async def test_a_forgotten_start_is_refused(scene: Scene, start: StartPosition) -> None:
    with pytest.raises(StartRequiredError, match="Say where to start"):
        await scene.open(start)


@pytest.mark.parametrize("cursor", [b"", b"\x01" * 37, b"foreign"])
async def test_foreign_bytes_are_no_cursor(scene: Scene, cursor: bytes) -> None:
    with pytest.raises(CursorInvalidError):
        await scene.open(at(cursor))


async def test_latest_brings_only_what_comes_later(scene: Scene) -> None:
    await scene.fill(5)
    reader = await read_all(scene, LATEST)

    await scene.fill(1)
    await reader.until_events(1)

    assert ids(reader.events) == ["fev_00000006"]


async def test_a_cursor_brings_what_follows_it_strictly(scene: Scene) -> None:
    await scene.fill(5)
    everything = await read_all(scene, EARLIEST)

    reader = await read_all(scene, at(everything.events[1].cursor))

    assert ids(reader.events) == ["fev_00000003", "fev_00000004", "fev_00000005"]


async def test_a_cursor_from_before_the_first_event_is_good(scene: Scene) -> None:
    beginning = (await read_all(scene, LATEST)).cursor
    await scene.fill(2)

    assert len((await read_all(scene, at(beginning))).events) == 2


async def test_a_time_brings_what_was_sequenced_at_it_or_later(scene: Scene) -> None:
    await scene.fill(1)
    await scene.fill(1)
    await scene.fill(1)
    async with scene.database.transaction() as tx:
        times = [datetime(2026, 11, day, 12, 0, 0, 1000, tzinfo=UTC) for day in (1, 2, 3)]
        for position, time in enumerate(times, 1):
            moved = update(event_log).where(event_log.c.position == position)
            await tx.execute(moved.values(sequence_time=time))

    assert len((await read_all(scene, since(times[0] - timedelta(days=9)))).events) == 3
    assert len((await read_all(scene, since(times[1]))).events) == 2
    assert len((await read_all(scene, since(times[1] + timedelta(microseconds=900)))).events) == 2
    assert len((await read_all(scene, since(times[1] + timedelta(milliseconds=1)))).events) == 1
    assert len((await read_all(scene, since(times[2] + timedelta(days=9)))).events) == 0


async def test_a_time_that_no_calendar_has_is_refused(scene: Scene) -> None:
    with pytest.raises(InvalidRequestError, match=r"start\.time"):
        await scene.open(StartPosition(time=Timestamp(seconds=10**15)))


async def test_the_logs_time_never_goes_back_where_the_clock_does(scene: Scene) -> None:
    await scene.fill(1)
    ahead = datetime.now(UTC) + timedelta(hours=1)
    async with scene.database.transaction() as tx:
        await tx.execute(update(event_log).values(sequence_time=ahead))
    await scene.fill(1)

    async with scene.database.reading() as reading:
        times = (await reading.execute(select(event_log.c.sequence_time).order_by(event_log.c.position))).scalars()
        assert list(times) == [ahead, ahead]


async def test_a_cursor_past_the_head_is_refused_when_the_log_does_not_come(scene: Scene) -> None:
    await scene.fill(3)

    with pytest.raises(CursorAheadError, match="past the head"):
        await scene.open(await cursor_of(scene, 5))


async def test_a_cursor_past_the_head_waits_for_the_log_to_come(log_place: LogPlace) -> None:
    async with open_scene(log_place, limits=StreamLimits(ahead=30)) as scene:
        await scene.fill(3)
        opening = asyncio.create_task(scene.open(await cursor_of(scene, 4)))
        await scene.fill(2)

        reader = await opening
        await reader.until("caught_up")

        assert ids(reader.events) == ["fev_00000005"]


async def test_a_cursor_of_another_log_has_diverged(scene: Scene) -> None:
    await scene.fill(3)

    with pytest.raises(CursorDivergedError, match="another log"):
        await scene.open(at(encode_cursor(cursor_at(uuid4(), 2, "fev_00000002"))))


async def test_a_restored_log_refuses_the_cursors_that_it_lost_and_serves_the_others(
    log_file: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    async with open_scene(log_file) as scene:
        await scene.fill(10)
        early = (await read_all(scene, EARLIEST)).cursor
        back_up(log_file, backup)
        await scene.fill(10)
        late = (await read_all(scene, EARLIEST)).cursor

    async with open_scene(backup, limits=IMPATIENT) as restored:
        with pytest.raises(CursorAheadError):
            await restored.open(at(late))
        await restored.stage(*(staged(number) for number in range(501, 521)))
        await restored.settle(30)
        with pytest.raises(CursorDivergedError, match="restored to an earlier state"):
            await restored.open(at(late))
        assert len((await read_all(restored, at(early))).events) == 20


async def test_an_expired_cursor_is_refused_with_the_earliest_that_is_kept(scene: Scene) -> None:
    await scene.fill(10)
    cursors = [event.cursor for event in (await read_all(scene, EARLIEST)).events]
    await trim(scene, 6)

    with pytest.raises(CursorExpiredError) as raised:
        await scene.open(at(cursors[4]))

    earliest = base64.b64decode(raised.value.metadata["earliest_cursor"])
    assert len((await read_all(scene, at(earliest))).events) == 4
    assert len((await read_all(scene, EARLIEST)).events) == 4
    assert len((await read_all(scene, at(cursors[5]))).events) == 4
    assert len((await read_all(scene, at(cursors[6]))).events) == 3


async def test_a_wholly_trimmed_log_goes_on(scene: Scene) -> None:
    await scene.fill(3)
    last = (await read_all(scene, EARLIEST)).cursor
    await trim(scene, 3)
    kept = await read_all(scene, at(last))

    await scene.fill(1)
    await kept.until_events(1)

    assert ids(kept.events) == ["fev_00000004"]
    assert len((await read_all(scene, EARLIEST)).events) == 1


async def cursor_of(scene: Scene, position: int) -> StartPosition:
    """Make the cursor of an event that is yet to come."""
    log_id = decode_cursor((await read_all(scene, LATEST)).cursor).log_id
    return at(encode_cursor(cursor_at(log_id, position, f"fev_{position:08}")))


def back_up(source: Path, target: Path) -> None:
    """Copy a living database, as an operator's backup does."""
    with closing(sqlite3.connect(source)) as living, closing(sqlite3.connect(target)) as copy:
        living.backup(copy)
