"""The deployment table: one row, made with the database and restored with it."""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime

deployments = sa.Table(
    "deployment",
    metadata,
    sa.Column("place", sa.SmallInteger, primary_key=True, autoincrement=False, comment="always 1"),
    sa.Column("id", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column(
        "unmarked_until",
        UtcDateTime(),
        comment="sessions made at Stripe up to here may lack the deployment id; null: none may",
    ),
    sa.Column(
        "unknown_purchases",
        sa.Integer,
        nullable=False,
        server_default="0",
        comment="completed purchases at Stripe that may be this deployment's and are not in this database",
    ),
    sa.CheckConstraint("place = 1", name="one"),
)
