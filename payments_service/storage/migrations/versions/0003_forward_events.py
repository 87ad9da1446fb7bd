"""Pass on by HTTP the events that are not ours."""

import sqlalchemy as sa
from alembic import op

from payments_service.storage.column_types import UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the schema one revision up."""
    op.create_table(
        "event_forwards",
        sa.Column("stripe_event_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claim_epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_expire_time", UtcTime(), nullable=True),
        sa.Column("next_attempt_time", UtcTime(), nullable=True),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("create_time", UtcTime(), nullable=False),
        sa.Column("settle_time", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("stripe_event_id", "url", name=op.f("pk_event_forwards")),
    )
    with op.batch_alter_table("event_forwards", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_event_forwards_url_state_create_time"), ["url", "state", "create_time"], unique=False
        )
