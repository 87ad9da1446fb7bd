"""Note up to when Stripe's events were listed, and when an order was last asked for."""

import sqlalchemy as sa
from alembic import op

from payments_service.storage.column_types import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the schema one revision up."""
    op.create_table(
        "reconcile_marks",
        sa.Column("stripe_account", sa.Text(), nullable=False),
        sa.Column("listed_until", UtcTime(), nullable=False),
        sa.Column("last_run_time", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("stripe_account", name=op.f("pk_reconcile_marks")),
    )
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.add_column(sa.Column("check_time", UtcTime(), nullable=True))
        batch_op.create_index(
            batch_op.f("ix_orders_payment_state_check_time"), ["payment_state", "check_time"], unique=False
        )
