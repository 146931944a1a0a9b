"""One row for each payout, at most one for a session. The amount is in base units of `token` and never changes."""

from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import Uint256, UtcDateTime, one_of
from treasury.core.status import Status
from treasury.payouts.model import Payout

payouts = sa.Table(
    "treasury_payouts",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("session_id", sa.String(64), nullable=False, unique=True),
    sa.Column("stripe_session_id", sa.String(255), nullable=False),
    sa.Column("wallet", sa.String(42), nullable=False),
    sa.Column("asset", sa.String(16), nullable=False),
    sa.Column("token", sa.String(42), nullable=False),
    sa.Column("to_address", sa.String(42), nullable=False),
    sa.Column("amount", Uint256(), nullable=False),
    sa.Column("reference", sa.String(66), nullable=False, unique=True),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("reason", sa.String(64)),
    sa.Column("transaction_id", sa.String(64)),
    sa.Column("tx_hash", sa.String(66)),
    sa.Column("block_number", sa.BigInteger()),
    sa.Column("approved_by", sa.String(64)),
    sa.Column("approved_person", sa.String(128)),
    sa.Column("retry_by", sa.String(64)),
    sa.Column("retry_person", sa.String(128)),
    sa.Column("cleared_by", sa.String(64), comment="who let it through although its recipient is listed"),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("updated_at", UtcDateTime(), nullable=False),
    sa.Index("ix_treasury_payouts_status", "status", "created_at", "id"),
    sa.Index("ix_treasury_payouts_created", "created_at", "id"),
    sa.Index("ix_treasury_payouts_recipient", "to_address", "created_at"),
    sa.Index(
        "ix_treasury_payouts_reason",
        "reason",
        "created_at",
        "id",
        sqlite_where=sa.text("reason IS NOT NULL"),
        postgresql_where=sa.text("reason IS NOT NULL"),
    ),
    sa.Index(
        "ix_treasury_payouts_final",
        "wallet",
        "asset",
        "block_number",
        sqlite_where=sa.text("status = 'final'"),
        postgresql_where=sa.text("status = 'final'"),
    ),
    one_of("status", Status),
)


def to_payout(row: sa.Row[Any]) -> Payout:
    """Return a database row as a `Payout`."""
    fields = dict(row._mapping)
    fields["status"] = Status(row.status)
    fields["to"] = fields.pop("to_address")
    return Payout(**fields)
