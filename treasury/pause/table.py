"""One row for each scope that was ever paused. The history has its earlier pauses."""

from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime, one_of
from treasury.pause.model import Pause
from treasury.pause.states import PauseStatus

pauses = sa.Table(
    "treasury_pauses",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True, comment="sales, payouts or sweeps"),
    sa.Column("status", sa.String(16), nullable=False, comment="paused or running"),
    sa.Column("actor", sa.String(64), nullable=False, comment="the key that paused or resumed it last"),
    sa.Column("person", sa.String(128), nullable=False),
    sa.Column("note", sa.Text(), nullable=False, server_default=""),
    sa.Column("at", UtcDateTime(), nullable=False),
    one_of("status", PauseStatus),
)


def to_pause(row: sa.Row[Any]) -> Pause:
    """Return a database row as a `Pause`."""
    return Pause(row.id, row.actor, row.person, row.note, row.at)
