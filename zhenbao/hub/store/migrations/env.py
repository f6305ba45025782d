"""Runs the migrations on the connection that the hub hands over, inside its transaction."""

from alembic import context

from zhenbao.hub.store import chronic_tables as _chronic_tables  # noqa: F401 - on the same metadata
from zhenbao.hub.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
