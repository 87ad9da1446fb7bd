"""Finds where a stream starts: a StartPosition and the log give a cursor that stands on this log, or a typed refusal.

It never moves a start silently: what a cursor points at and is not there is said.
"""

import asyncio
import base64
from datetime import UTC, datetime
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import StartPosition
from payments_service.errors import (
    CursorAheadError,
    CursorDivergedError,
    CursorExpiredError,
    FieldViolation,
    InvalidRequestError,
    StartRequiredError,
)
from payments_service.event_log.cursor import Cursor, cursor_at, decode_cursor, encode_cursor
from payments_service.storage.database import Connection, Database
from payments_service.storage.log_frames import NO_TAG, event_tag
from payments_service.storage.log_rows import (
    LogHead,
    first_position_since,
    read_event_id,
    read_head,
    read_head_and_event_id,
)

AHEAD_POLL_SECONDS = 0.1


class Start(NamedTuple):
    """Where a stream starts, and the first place from which one could."""

    cursor: Cursor
    earliest: Cursor


async def find_start(database: Database, start: StartPosition, ahead_seconds: float) -> Start:
    """Resolve a start; a cursor past the head gets `ahead_seconds`, in which a lagging replica may catch up."""
    if start.WhichOneof("start") == "cursor":
        cursor = decode_cursor(start.cursor)
        await verify_cursor(database, cursor, ahead_seconds)
        async with database.reading() as reading:
            return Start(cursor, await _earliest(reading, await read_head(reading)))
    async with database.reading() as reading:
        head = await read_head(reading)
        position = await _position(reading, head, start)
        found = cursor_at(head.log_id, position, await read_event_id(reading, position))
        return Start(found, await _earliest(reading, head))


async def verify_cursor(database: Database, cursor: Cursor, ahead_seconds: float) -> None:
    """Raise unless the log goes on from this cursor: CURSOR_EXPIRED, CURSOR_DIVERGED, CURSOR_AHEAD."""
    deadline = asyncio.get_running_loop().time() + ahead_seconds
    while not await _stands(database, cursor):
        if asyncio.get_running_loop().time() >= deadline:
            raise CursorAheadError(
                "The cursor lies past the head of the log: it comes from a log that is further on than this one."
            )
        await asyncio.sleep(AHEAD_POLL_SECONDS)


def encode_for_metadata(cursor: bytes) -> str:
    """Write a cursor as the metadata of an error carries it."""
    return base64.b64encode(cursor).decode()


async def _stands(database: Database, cursor: Cursor) -> bool:
    """Say whether the event of a cursor is there, False where the log has not come so far."""
    async with database.reading() as reading:
        head, event_id = await read_head_and_event_id(reading, cursor.position)
        if cursor.log_id != head.log_id:
            raise CursorDivergedError("The cursor was made by another log than this one.")
        if cursor.position < head.trimmed_through:
            earliest = encode_cursor(await _earliest(reading, head))
            raise CursorExpiredError(
                "What follows the cursor is no longer kept: start again from earliest, knowing that events are missed.",
                earliest_cursor=encode_for_metadata(earliest),
            )
    if cursor.position > head.position:
        return False
    if not _is_tagged_with(cursor, event_id, head):
        raise CursorDivergedError(
            "Another event stands where the cursor's stood: the log was restored to an earlier state and went on."
        )
    return True


def _is_tagged_with(cursor: Cursor, event_id: str | None, head: LogHead) -> bool:
    """Compare the event's tag; at the edge of what is kept neither side may still know it."""
    if cursor.position == head.trimmed_through and (event_id is None or cursor.tag == NO_TAG):
        return True
    return event_id is not None and cursor.tag == event_tag(event_id)


async def _earliest(reading: Connection, head: LogHead) -> Cursor:
    event_id = await read_event_id(reading, head.trimmed_through)
    return cursor_at(head.log_id, head.trimmed_through, event_id)


async def _position(reading: Connection, head: LogHead, start: StartPosition) -> int:
    match start.WhichOneof("start"):
        case "earliest" if start.earliest:
            return head.trimmed_through
        case "latest" if start.latest:
            return head.position
        case "time":
            first = await first_position_since(reading, _log_time(start.time))
            return head.position if first is None else first - 1
        case _:
            raise StartRequiredError("Say where to start: a cursor that you kept, earliest, latest, or a time.")


def _log_time(time: Timestamp) -> datetime:
    """Round down to what the log's clock counts on every database, so that nothing at that time is missed."""
    try:
        exact = time.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequestError([FieldViolation("start.time", "is no time between year 1 and 9999")]) from error
    return exact.replace(microsecond=exact.microsecond // 1000 * 1000)
