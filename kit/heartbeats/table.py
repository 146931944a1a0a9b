"""The table of heartbeats: a row for each worker of each process, removed when the process stops in an orderly way."""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime

worker_heartbeats = sa.Table(
    "worker_heartbeats",
    metadata,
    sa.Column("id", sa.String(112), primary_key=True, comment="process and worker, joined by a slash"),
    sa.Column("process", sa.String(80), nullable=False, comment="host, process id and a random part"),
    sa.Column("worker", sa.String(24), nullable=False, comment="a worker's name, or api"),
    sa.Column("started_at", UtcDateTime(), nullable=False, comment="the database's clock"),
    sa.Column("seen_at", UtcDateTime(), nullable=False, comment="the database's clock, at the newest heartbeat"),
    sa.Column("busy_seconds", sa.Integer(), nullable=False, comment="how long the step under way had lasted then"),
)
