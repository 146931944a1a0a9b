"""Run by Alembic: takes the connection it is handed, and nothing else."""

from alembic import context

import onramp.migrations.tables  # noqa: F401 - every table joins the shared metadata
from kit.db.database import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
    transactional_ddl=False,
)
context.run_migrations()
