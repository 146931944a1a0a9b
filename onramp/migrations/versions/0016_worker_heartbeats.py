"""Create the table of heartbeats, in which processes record every few seconds which workers they run."""

import sqlalchemy as sa
from alembic import op

from kit.db.types import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0016"


def upgrade() -> None:
    op.create_table(
        "worker_heartbeats",
        sa.Column("id", sa.String(length=112), nullable=False, comment="process and worker, joined by a slash"),
        sa.Column("process", sa.String(length=80), nullable=False, comment="host, process id and a random part"),
        sa.Column("worker", sa.String(length=24), nullable=False, comment="a worker's name, or api"),
        sa.Column("started_at", UtcDateTime(), nullable=False, comment="the database's clock"),
        sa.Column("seen_at", UtcDateTime(), nullable=False, comment="the database's clock, at the newest heartbeat"),
        sa.Column(
            "busy_seconds", sa.Integer(), nullable=False, comment="how long the step under way had lasted then"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker_heartbeats")),
    )


def downgrade() -> None:
    op.drop_table("worker_heartbeats")
