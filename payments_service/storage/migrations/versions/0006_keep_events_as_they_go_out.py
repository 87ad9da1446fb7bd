"""Keep each event of the log as the bytes that go out, its cursor included: readers copy, and compute nothing."""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

from payments_service.storage.log_frames import cursor_bytes, event_tag, frame_event

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# The same bytes as storage/log_frames.py makes. A varint's seven bits a byte, each but the last with the high bit.
FRAME_EVENT = r"""
CREATE FUNCTION frame_event(log_id text, at bigint, event_id text, body bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
    SELECT '\x0a'::bytea
        || CASE
            WHEN size < 128 THEN substring(int8send(size) FROM 8)
            WHEN size < 16384 THEN substring(int8send((low << 8) | (size >> 7)) FROM 7)
            WHEN size < 2097152 THEN substring(int8send((low << 16) | (middle << 8) | (size >> 14)) FROM 6)
            ELSE substring(int8send((low << 24) | (middle << 16) | (high << 8) | (size >> 21)) FROM 5)
        END
        || body || '\x4a25'::bytea || place || substring(sha256(place) FOR 4)
    FROM (
        SELECT size, (size & 127) | 128 AS low, ((size >> 7) & 127) | 128 AS middle, ((size >> 14) & 127) | 128 AS high,
            '\x02'::bytea || decode(log_id, 'hex') || int8send(at)
                || substring(sha256(convert_to(event_id, 'UTF8')) FOR 8) AS place
        FROM (SELECT length(body)::bigint + 39) AS whole (size)
    ) AS parts
$$
"""

SEQUENCE_EVENTS = """
CREATE OR REPLACE FUNCTION sequence_events(most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    log text;
    head bigint;
    moved integer;
    moment timestamptz;
BEGIN
    SELECT event_log_head.log_id, event_log_head.position INTO STRICT log, head FROM event_log_head FOR UPDATE;
    SELECT greatest(clock_timestamp(), max(event_log.sequence_time)) INTO moment
        FROM event_log WHERE event_log.position = head;
    WITH oldest AS (
        SELECT event_outbox.id FROM event_outbox ORDER BY event_outbox.id LIMIT most
    ), taken AS (
        DELETE FROM event_outbox USING oldest WHERE event_outbox.id = oldest.id RETURNING event_outbox.*
    ), placed AS (
        SELECT head + row_number() OVER (ORDER BY taken.id) AS place, taken.* FROM taken
    ), logged AS (
        INSERT INTO event_log (
            position, event_id, organization_id, ordering_key, order_version,
            purchase_type, type, frame, occur_time, sequence_time
        )
        SELECT place, event_id, organization_id, ordering_key, order_version,
            purchase_type, type, frame_event(log, place, event_id, body), occur_time, moment
        FROM placed
        RETURNING 1
    )
    SELECT count(*) INTO moved FROM logged;
    IF moved > 0 THEN
        UPDATE event_log_head SET position = head + moved;
        PERFORM pg_notify('payments_event_log', (head + moved)::text);
    END IF;
    RETURN moved;
END
$$
"""
FRAME_ALL = """
UPDATE event_log SET frame = frame_event(event_log_head.log_id, event_log.position, event_log.event_id, event_log.frame)
FROM event_log_head
"""


def upgrade() -> None:
    """Take the schema one revision up."""
    op.execute("ALTER TABLE event_log RENAME COLUMN body TO frame")
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.execute(FRAME_EVENT)
        op.execute(SEQUENCE_EVENTS)
        op.execute(FRAME_ALL)
    else:
        _frame_all(connection)


def _frame_all(connection: sa.Connection) -> None:
    log_id = connection.execute(sa.text("SELECT log_id FROM event_log_head")).scalar_one_or_none()
    last = connection.execute(sa.text("SELECT coalesce(max(position), 0) FROM event_log")).scalar_one()
    read = sa.text("SELECT event_id, frame FROM event_log WHERE position = :at")
    write = sa.text("UPDATE event_log SET frame = :frame WHERE position = :at")
    for position in range(1, last + 1):
        row = connection.execute(read, {"at": position}).one_or_none()
        if row is not None:
            frame = frame_event(row.frame, cursor_bytes(UUID(hex=log_id), position, event_tag(row.event_id)))
            connection.execute(write, {"at": position, "frame": frame})
