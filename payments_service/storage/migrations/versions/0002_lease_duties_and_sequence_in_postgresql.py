"""Lease the periodic duties; on PostgreSQL number the outbox by identity and sequence it in one statement."""

import sqlalchemy as sa
from alembic import op

from payments_service.storage.column_types import UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBERED = ("event_outbox", "timeline")

# Deleted as fast as it is filled, so its dead rows are cleared by count and without pauses.
CLEAR_THE_OUTBOX = """
ALTER TABLE event_outbox SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
)
"""

# One call from the lock to the commit: no process that was stopped meanwhile holds up all the others.
# Each statement of it sees what was committed before the lock was had, because the transaction is READ COMMITTED.
SEQUENCE_EVENTS = """
CREATE FUNCTION sequence_events(most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    head bigint;
    moved integer;
    moment timestamptz;
BEGIN
    SELECT event_log_head.position INTO STRICT head FROM event_log_head FOR UPDATE;
    SELECT greatest(clock_timestamp(), max(event_log.sequence_time)) INTO moment
        FROM event_log WHERE event_log.position = head;
    WITH oldest AS (
        SELECT event_outbox.id FROM event_outbox ORDER BY event_outbox.id LIMIT most
    ), taken AS (
        DELETE FROM event_outbox USING oldest WHERE event_outbox.id = oldest.id RETURNING event_outbox.*
    ), logged AS (
        INSERT INTO event_log (
            position, event_id, organization_id, ordering_key, order_version,
            purchase_type, type, body, occur_time, sequence_time
        )
        SELECT head + row_number() OVER (ORDER BY taken.id), event_id, organization_id, ordering_key, order_version,
            purchase_type, type, body, occur_time, moment
        FROM taken
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


def upgrade() -> None:
    """Take the schema one revision up."""
    op.create_table(
        "duty_leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), server_default="", nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("expire_time", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_duty_leases")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in NUMBERED:
            _number_by_identity(table)
        op.execute(CLEAR_THE_OUTBOX)
        op.execute(SEQUENCE_EVENTS)


def _number_by_identity(table: str) -> None:
    """Let the database alone give the numbers, one at a time: who cached some would break the order of commits."""
    op.execute(f"ALTER TABLE {table} ALTER COLUMN id DROP DEFAULT")
    op.execute(f"DROP SEQUENCE {table}_id_seq")
    op.execute(f"ALTER TABLE {table} ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (CACHE 1)")
    newest = f"(SELECT coalesce(max(id), 0) + 1 FROM {table})"  # noqa: S608
    op.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {newest}, false)")
