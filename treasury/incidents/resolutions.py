"""One row for each incident that a person has begun to resolve.

The effect of a resolution is in the ledger, or in the row of the unmatched transaction. This row records who explained and who confirmed it.
"""

from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import Uint256, UtcDateTime, one_of
from treasury.incidents.model import Resolution
from treasury.incidents.states import ResolutionStatus

resolutions = sa.Table(
    "treasury_answers",
    metadata,
    sa.Column("id", sa.String(160), primary_key=True, comment="chain, wallet and subject"),
    sa.Column("subject", sa.String(80), nullable=False, comment="an asset, or a transaction of another hand"),
    sa.Column("status", sa.String(16), nullable=False, comment="asked or answered"),
    sa.Column("amount", Uint256(), nullable=False, comment="what was unexplained when it was asked"),
    sa.Column("asked_by", sa.String(64), nullable=False),
    sa.Column("asked_person", sa.String(128), nullable=False),
    sa.Column("answered_by", sa.String(64)),
    sa.Column("note", sa.Text(), nullable=False),
    sa.Column("at", UtcDateTime(), nullable=False),
    one_of("status", ResolutionStatus),
)


def to_resolution(row: sa.Row[Any]) -> Resolution:
    """Return a database row as a `Resolution`."""
    fields = dict(row._mapping)
    fields["status"] = ResolutionStatus(row.status)
    return Resolution(**fields)
