"""Challenges that wait for a passkey: of an enrolment, of a command, and the permission of an admin to enrol a first passkey."""

from enum import StrEnum

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime, one_of


class ChallengeKind(StrEnum):
    """What a challenge is for."""

    REGISTRATION = "registration"
    """A browser creates a passkey for it."""
    APPROVAL = "approval"
    """A passkey signs the plan of a command for it."""
    PERMISSION = "permission"
    """A person without a passkey and without a second factor may enrol one with it; only its hash is stored."""


passkey_challenges = sa.Table(
    "passkey_challenges",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("person", sa.String(128), nullable=False),
    sa.Column(
        "challenge", sa.String(64), nullable=False, comment="32 bytes in hex; of a permission the hash of its secret"
    ),
    sa.Column("action", sa.String(64)),
    sa.Column("subject", sa.String(80)),
    sa.Column("plan_text", sa.Text, comment="the canonical text that is signed"),
    sa.Column("nonce", sa.String(64)),
    sa.Column("created_by", sa.String(64), nullable=False, comment="the key or session that asked for it"),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("expires_at", UtcDateTime(), nullable=False),
    sa.Column("used_at", UtcDateTime(), comment="it counts once"),
    sa.Index("ix_passkey_challenges_expires_at", "expires_at"),
    one_of("kind", ChallengeKind),
)
