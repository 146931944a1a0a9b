"""One row for each restore of the database, for each hot wallet. At most one row of a wallet is not done."""

from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime, one_of
from treasury.restores.model import Restore, Source

restores = sa.Table(
    "treasury_restores",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("chain_id", sa.BigInteger(), nullable=False),
    sa.Column("wallet", sa.String(42), nullable=False),
    sa.Column("depth", sa.Integer(), nullable=False, comment="how many nonces in a row are spent"),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("declared_by", sa.String(64), nullable=False),
    sa.Column("note", sa.Text(), nullable=False, server_default=""),
    sa.Column("declared_at", UtcDateTime(), nullable=False),
    sa.Column("done_at", UtcDateTime(), comment="null: nothing may be paid yet"),
    one_of("source", Source),
    sa.Index(
        "ix_treasury_restores_open",
        "chain_id",
        "wallet",
        unique=True,
        sqlite_where=sa.text("done_at IS NULL"),
        postgresql_where=sa.text("done_at IS NULL"),
    ),
)


def to_restore(row: sa.Row[Any]) -> Restore:
    """Return a database row as a `Restore`."""
    fields = dict(row._mapping)
    fields["source"] = Source(row.source)
    return Restore(**fields)
