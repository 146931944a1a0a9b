"""The table of transfers observed on chain, from the addresses whose transfers count."""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import Uint256, UtcDateTime

transfers = sa.Table(
    "transfers",
    metadata,
    sa.Column("id", sa.String(96), primary_key=True, comment="chain id, transaction hash and log index"),
    sa.Column("chain_id", sa.BigInteger, nullable=False),
    sa.Column("token", sa.String(42), nullable=False),
    sa.Column("sender", sa.String(42), nullable=False),
    sa.Column("recipient", sa.String(42), nullable=False),
    sa.Column("units", Uint256(), nullable=False),
    sa.Column("tx_hash", sa.String(66), nullable=False),
    sa.Column("log_index", sa.Integer, nullable=False),
    sa.Column("block_number", sa.BigInteger, nullable=False),
    sa.Column("block_hash", sa.String(66), nullable=False),
    sa.Column("session_id", sa.String(64), sa.ForeignKey("sessions.id"), comment="the one session that claimed it"),
    sa.Column("seen_at", UtcDateTime(), nullable=False),
    # A partial index instead of a UNIQUE constraint: SQLite used the constraint's index to look up all unclaimed rows, one by one.
    sa.Index(
        "uq_transfers_session_id",
        "session_id",
        unique=True,
        sqlite_where=sa.text("session_id IS NOT NULL"),
        postgresql_where=sa.text("session_id IS NOT NULL"),
    ),
    sa.Index(
        "ix_transfers_unclaimed",
        "recipient",
        sqlite_where=sa.text("session_id IS NULL"),
        postgresql_where=sa.text("session_id IS NULL"),
    ),
    sa.Index(
        "ix_transfers_unclaimed_seen",
        "seen_at",
        sqlite_where=sa.text("session_id IS NULL"),
        postgresql_where=sa.text("session_id IS NULL"),
    ),
)
