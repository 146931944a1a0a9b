"""Alembic's environment: run the migrations on the connection that the caller passes in."""

from alembic import context

import onramp.migrations.tables  # noqa: F401 - registers every table in the shared metadata
from kit.db.database import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
    transactional_ddl=False,
)
context.run_migrations()
