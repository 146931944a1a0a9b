"""Passkeys and the plans that were signed with them. No row of either table is deleted; database triggers also refuse changes of signatures."""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime

passkeys = sa.Table(
    "passkeys",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column(
        "person", sa.String(128), nullable=False, index=True, comment="whose device it is, as persons are compared"
    ),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("credential_id", sa.String(1400), nullable=False, unique=True, comment="base64url"),
    sa.Column("public_key", sa.Text, nullable=False, comment="COSE key, base64url"),
    sa.Column("sign_count", sa.BigInteger, nullable=False, comment="the authenticator's counter; 0: it has none"),
    sa.Column("backed_up", sa.Boolean, nullable=False, comment="whether it is synchronised between devices"),
    sa.Column("transports", sa.JSON, nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("created_by", sa.String(64), nullable=False, comment="the key or session that enrolled it"),
    sa.Column("last_used_at", UtcDateTime()),
    sa.Column("removed_at", UtcDateTime()),
    sa.Column("removed_by", sa.String(64)),
    sa.Column("seal", sa.String(64), nullable=False, comment="HMAC-SHA256 of person, credential and public key"),
    sa.Column("key_id", sa.String(8), nullable=False, comment="which key of DATA_KEYS made the seal"),
)

plan_signatures = sa.Table(
    "plan_signatures",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True, comment="the challenge: one signature each"),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(80), nullable=False, comment="the id of what was decided about"),
    sa.Column("person", sa.String(128), nullable=False),
    sa.Column("actor", sa.String(64), nullable=False, comment="the key or session that sent the command"),
    sa.Column("caller_role", sa.String(12), nullable=False),
    sa.Column("passkey_id", sa.String(64), nullable=False),
    sa.Column("credential_id", sa.String(1400), nullable=False),
    sa.Column("public_key", sa.Text, nullable=False),
    sa.Column("plan_text", sa.Text, nullable=False, comment="the canonical text whose SHA-256 was signed"),
    sa.Column("plan_hash", sa.String(66), nullable=False),
    sa.Column("rp_id", sa.String(255), nullable=False),
    sa.Column("origin", sa.String(300), nullable=False),
    sa.Column("credential", sa.Text, nullable=False, comment="the browser's whole answer, as JSON"),
    sa.Column("signed_at", UtcDateTime(), nullable=False),
    sa.Column("seal", sa.String(64), nullable=False, comment="HMAC-SHA256 of everything else"),
    sa.Column("key_id", sa.String(8), nullable=False),
    sa.Index("ix_plan_signatures_subject", "subject", "signed_at"),
)
