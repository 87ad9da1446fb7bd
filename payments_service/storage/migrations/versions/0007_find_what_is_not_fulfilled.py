"""Find fulfillments that are pending, awaited or failed without looking at all those that are done."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UNFINISHED = sa.text("state IN (1, 2, 4)")


def upgrade() -> None:
    """Take the schema one revision up."""
    op.create_index(
        "ix_fulfillments_unfinished",
        "fulfillments",
        ["state", "create_time"],
        unique=False,
        postgresql_where=UNFINISHED,
        sqlite_where=UNFINISHED,
    )
