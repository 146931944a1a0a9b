"""The checklists of restores, and which of their steps are done."""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime

recoveries = sa.Table(
    "recoveries",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("begun_at", UtcDateTime(), nullable=False),
    sa.Column("backup_at", UtcDateTime(), comment="time of the newest row that was restored"),
    sa.Column("finished_at", UtcDateTime(), comment="null: the checklist is not done"),
)

recovery_steps = sa.Table(
    "recovery_steps",
    metadata,
    sa.Column("id", sa.String(100), primary_key=True, comment="checklist and step, joined by a slash"),
    sa.Column("recovery_id", sa.String(64), sa.ForeignKey("recoveries.id"), nullable=False),
    sa.Column("name", sa.String(32), nullable=False),
    sa.Column("done_at", UtcDateTime(), nullable=False),
    sa.Column("result", sa.JSON(), nullable=False),
)
