"""Stored changes, and who wants to know of them.

Triggers (revision 0028) write a row of `changes` for each change of a watched row, whichever statement or version of the code makes it,
and only while `change_consumers` names somebody for the topic. `old_row` holds the columns that events are derived from; `new_row` the
whole row, without secrets. On SQLite, a statement that changes a session without raising its version is stored with the new values in `old_row`,
too, because the trigger that raises the version makes a second change.
"""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime

changes = sa.Table(
    "changes",
    metadata,
    # Postgres numbers rows of BIGINT, SQLite only of INTEGER.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("topic", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(80), nullable=False, comment="the id of the row that changed"),
    sa.Column("at", UtcDateTime(), nullable=False, comment="on the database's clock"),
    sa.Column(
        "old_row",
        sa.JSON(none_as_null=True),
        comment="some columns of the row before the change; null: it is new",
    ),
    sa.Column("new_row", sa.JSON(), nullable=False),
    sa.Column("parked_at", UtcDateTime(), comment="when planning it failed by itself"),
    sa.Column("parked_reason", sa.String(200)),
)
change_consumers = sa.Table(
    "change_consumers",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True, comment="consumer/topic"),
    sa.Column("consumer", sa.String(32), nullable=False),
    sa.Column("topic", sa.String(16), nullable=False, index=True),
)
