"""Runs the migrations on the connection that tracker.database hands over."""

from alembic import context

from tracker.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
