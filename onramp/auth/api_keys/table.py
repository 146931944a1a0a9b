"""Keys, and the keyed hashes of their secrets: two of them while a rotation overlaps."""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime, one_of
from onramp.auth.roles import KEY_ROLES

MAKERS = "persons behind its making, as they are compared; null: made by an earlier version"

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("role", sa.String(12), nullable=False),
    sa.Column("person", sa.String(128), nullable=False, comment="whose it is: two keys of one person are one person"),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("created_by", sa.String(64), nullable=False),
    sa.Column("confirmed_by", sa.String(64), comment="the approver's key that ended the wait of a new key"),
    sa.Column("last_used_at", UtcDateTime()),
    sa.Column("revoked_at", UtcDateTime()),
    sa.Column("otp_sealed", sa.Text, comment="the second factor's secret, encrypted"),
    sa.Column("otp_enrolled_at", UtcDateTime(), comment="null while the first code has not come"),
    sa.Column("otp_step", sa.BigInteger, comment="the newest time step that was used: a code works once"),
    sa.Column("otp_failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("otp_locked_until", UtcDateTime()),
    sa.Column("makers", sa.JSON(none_as_null=True), comment=MAKERS),
    one_of("role", KEY_ROLES),
)

api_key_secrets = sa.Table(
    "api_key_secrets",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True, comment="HMAC-SHA256 of the secret"),
    sa.Column("key_id", sa.String(64), sa.ForeignKey("api_keys.id"), nullable=False, index=True),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("active_from", UtcDateTime(), nullable=False),
    sa.Column("expires_at", UtcDateTime(), comment="set by a rotation: the end of the overlap"),
    sa.Column("makers", sa.JSON(none_as_null=True), comment=MAKERS),
    sa.Column("made_by", sa.String(64), comment="who ordered it: a key's or an invitation's id, or the machine"),
    sa.Column("confirmed_by", sa.String(64), comment="the approver's key that ended its wait"),
    sa.Column("made_alarm_at", UtcDateTime(), comment="when the alarm about a new money key rang"),
    sa.Column("unconfirmed_alarm_at", UtcDateTime(), comment="when the alarm about one that works unconfirmed rang"),
)
