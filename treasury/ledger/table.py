"""One row for each movement of an amount from one account to another, so no row can be out of balance.

Rows are only ever added; a trigger refuses anything else on both databases. `subject` is what moved (a payout, sweep, transaction or
session, or the wallet itself). `sequence` numbers its movements of one asset. The unique key makes `post` store a movement
once, however often it is called; `adjust` takes the next number and stores each call.
"""

from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import Uint256, UtcDateTime
from treasury.ledger.model import Posting
from treasury.ledger.states import Account

ledger = sa.Table(
    "treasury_ledger",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("wallet", sa.String(42), nullable=False),
    sa.Column("asset", sa.String(16), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(80), nullable=False),
    sa.Column("sequence", sa.Integer(), nullable=False),
    sa.Column("from_account", sa.String(16), nullable=False),
    sa.Column("to_account", sa.String(16), nullable=False),
    sa.Column("amount", Uint256(), nullable=False),
    sa.Column("block_number", sa.BigInteger()),
    sa.Column("actor", sa.String(64), nullable=False),
    sa.Column("note", sa.Text(), nullable=False, server_default=""),
    sa.Column("at", UtcDateTime(), nullable=False),
    sa.UniqueConstraint("subject", "asset", "sequence"),
    sa.CheckConstraint("from_account <> to_account", name="moves"),
    sa.Index("ix_treasury_ledger_accounts", "wallet", "asset", "kind"),
    # Postings are added in the order of their time, so that a summary of each block of rows finds them, and costs a posting nothing.
    sa.Index("ix_treasury_ledger_at", "at", postgresql_using="brin"),
    sa.Index(
        "ix_treasury_ledger_note",
        "note",
        sqlite_where=sa.text("kind IN ('settle_usdc', 'reverse_usdc')"),
        postgresql_where=sa.text("kind IN ('settle_usdc', 'reverse_usdc')"),
    ),
    sa.Index(
        "ix_treasury_ledger_block",
        "wallet",
        "asset",
        "block_number",
        sqlite_where=sa.text("block_number IS NOT NULL"),
        postgresql_where=sa.text("block_number IS NOT NULL"),
    ),
)


def to_posting(row: sa.Row[Any]) -> Posting:
    """Return a database row as a `Posting`."""
    fields = dict(row._mapping)
    fields["from_account"], fields["to_account"] = Account(row.from_account), Account(row.to_account)
    return Posting(**fields)
