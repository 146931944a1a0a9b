"""Changes of the last minutes, and the processes that want to know of them.

Triggers (revision 0035) write a row of `live_changes` for each change that an operator's screen shows, whichever statement makes it, and only
while a row of `live_watchers` is valid. So nothing is written while nobody looks.
"""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime

live_changes = sa.Table(
    "live_changes",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(255), nullable=False, comment="the id of the row that changed"),
    sa.Column("at", UtcDateTime(), nullable=False, comment="on the database's clock"),
    # Without it SQLite uses the numbers of deleted rows again.
    sqlite_autoincrement=True,
)
live_watchers = sa.Table(
    "live_watchers",
    metadata,
    sa.Column("id", sa.String(80), primary_key=True, comment="the process"),
    sa.Column("watches_until", UtcDateTime(), nullable=False, comment="on the database's clock"),
)
