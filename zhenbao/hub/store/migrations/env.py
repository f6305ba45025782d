"""Runs the migrations on the connection that the hub hands over, inside its transaction."""

from alembic import context

from zhenbao.hub.store import (  # noqa: F401 - their tables are on the metadata
    chest_pain_tables,
    chronic_tables,
    law_tables,
    list_tables,
    quality_tables,
    report_tables,
    slot_tables,
)
from zhenbao.hub.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
