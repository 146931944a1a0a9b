"""Console sessions, each found by the keyed hash of the secret in its cookie."""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime, one_of
from onramp.config.oidc_settings import CONSOLE_ROLES

METHODS = ("key", "oidc")

console_sessions = sa.Table(
    "console_sessions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("secret_hash", sa.String(64), nullable=False, unique=True, comment="HMAC-SHA256 of the cookie's secret"),
    sa.Column("method", sa.String(8), nullable=False, comment="how the person logged in"),
    sa.Column("key_id", sa.String(64), sa.ForeignKey("api_keys.id"), index=True, comment="the key of a login by key"),
    sa.Column("key_secret_hash", sa.String(64), comment="the secret of that login: the session ends when this secret does"),
    sa.Column("identity_id", sa.String(64), sa.ForeignKey("oidc_identities.id"), index=True, comment="of a login by OIDC"),
    sa.Column("role", sa.String(12), comment="the role of a login by OIDC; a key's role is the key's"),
    sa.Column("configuration", sa.String(64), comment="hash of the OIDC settings of that login: others end the session"),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("last_used_at", UtcDateTime(), nullable=False, comment="to the minute"),
    sa.Column("expires_at", UtcDateTime(), nullable=False, index=True),
    sa.Column("ended_at", UtcDateTime()),
    sa.Column("ended_by", sa.String(64), comment="the key or identity that ended it, or the machine"),
    one_of("method", METHODS),
    one_of("role", CONSOLE_ROLES),
)  # fmt: skip
