"""The audit trail and its hash chain. Database triggers refuse to change or delete rows of either table."""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

entries = sa.Table(
    "audit_entries",
    metadata,
    sa.Column("id", _Number, primary_key=True, autoincrement=True),
    sa.Column("at", UtcDateTime(), nullable=False),
    sa.Column("actor", sa.String(64), nullable=False, comment="a key's id, a worker's name, or the machine's operator"),
    sa.Column("action", sa.String(64), nullable=False, comment="such as payout.approve"),
    sa.Column("subject", sa.String(80), nullable=False, comment="the id of what was changed"),
    sa.Column("old_values", sa.JSON, comment="ids, states, digests; never a personal value"),
    sa.Column("new_values", sa.JSON),
    sa.Column("request_id", sa.String(128)),
    sa.Column("policy_version", sa.Integer),
    sa.Index("ix_audit_entries_subject", "subject", "id"),
)

links = sa.Table(
    "audit_links",
    metadata,
    sa.Column("number", _Number, primary_key=True, autoincrement=False, comment="1, 2, 3: the order of the chain"),
    sa.Column("entry_id", _Number, nullable=False, unique=True),
    sa.Column("hash", sa.String(64), nullable=False, comment="keyed: over the previous hash and the entry"),
    sa.Column("key_id", sa.String(8), nullable=False, comment="which key of DATA_KEYS"),
    sa.Column("sealed_at", UtcDateTime(), nullable=False),
)
