"""Keep the places of durable subscribers in the log, who works on which part, and what could not be done."""

import sqlalchemy as sa
from alembic import op

from payments_service.storage.column_types import UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the schema one revision up."""
    op.create_table(
        "subscribers",
        sa.Column("subscriber", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("filter", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("shard_count", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("create_time", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("subscriber", name=op.f("pk_subscribers")),
    )
    op.create_table(
        "subscriber_shards",
        sa.Column("subscriber", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("acked_through", sa.BigInteger(), nullable=False),
        sa.Column("acked_ahead", sa.LargeBinary(), nullable=False),
        sa.Column("sent_through", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.Text(), server_default="", nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("expire_time", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("subscriber", "shard", name=op.f("pk_subscriber_shards")),
    )
    op.create_table(
        "subscriber_members",
        sa.Column("subscriber", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("expire_time", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("subscriber", "member_id", name=op.f("pk_subscriber_members")),
    )
    _make_exceptions()


def _make_exceptions() -> None:
    op.create_table(
        "subscriber_exceptions",
        sa.Column("subscriber", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", UtcTime(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("park_time", UtcTime(), nullable=True),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("ordering_key", sa.Text(), nullable=False),
        sa.Column("purchase_type", sa.Text(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subscriber", "position", name=op.f("pk_subscriber_exceptions")),
    )
    with op.batch_alter_table("subscriber_exceptions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_subscriber_exceptions_subscriber_state_park_time_position"),
            ["subscriber", "state", "park_time", "position"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_subscriber_exceptions_subscriber_shard_position"),
            ["subscriber", "shard", "position"],
            unique=False,
        )
