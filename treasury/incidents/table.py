"""One row for each nonce of a hot wallet that the chain counts and that no transaction row of this database explains.

After a restore these are the service's own payouts: each is matched when the payout with its reference is rebuilt from Stripe. Anything
else means that someone else holds the key, and two persons have to resolve it. Until then nothing is signed.
"""

from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import Uint256, UtcDateTime
from treasury.incidents.model import UnmatchedTransaction

unmatched_transactions = sa.Table(
    "treasury_foreign",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("chain_id", sa.BigInteger(), nullable=False),
    sa.Column("wallet", sa.String(42), nullable=False),
    sa.Column("nonce", sa.BigInteger(), nullable=False),
    sa.Column("tx_hash", sa.String(66)),
    sa.Column("raw", sa.LargeBinary()),
    sa.Column("token", sa.String(42)),
    sa.Column("to_address", sa.String(42)),
    sa.Column("amount", Uint256()),
    sa.Column("reference", sa.String(66), index=True),
    sa.Column("note", sa.Text(), nullable=False, server_default=""),
    sa.Column("block_number", sa.BigInteger()),
    sa.Column("noticed_at", UtcDateTime(), nullable=False),
    sa.Column("payout_id", sa.String(64)),
    sa.Column("answered_by", sa.String(64)),
    sa.Column("answered_at", UtcDateTime()),
    sa.UniqueConstraint("chain_id", "wallet", "nonce"),
)


def to_unmatched(row: sa.Row[Any]) -> UnmatchedTransaction:
    """Return a database row as an `UnmatchedTransaction`."""
    fields = dict(row._mapping)
    fields["to"] = fields.pop("to_address")
    fields["raw"] = None if row.raw is None else bytes(row.raw)
    return UnmatchedTransaction(**fields)
