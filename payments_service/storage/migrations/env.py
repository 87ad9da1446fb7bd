"""Runs the revisions on the connection that schema.py hands over; Alembic calls it, nothing else does."""

from alembic import context

from payments_service.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=False,
    render_as_batch=True,
)
context.run_migrations()
