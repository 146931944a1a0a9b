"""The persons of an OpenID Connect provider who have logged in, and logins that have begun."""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime

oidc_identities = sa.Table(
    "oidc_identities",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True, comment="oid_ and a hash of issuer and subject"),
    sa.Column("issuer", sa.String(300), nullable=False),
    sa.Column("subject", sa.String(255), nullable=False, comment="the claim sub, which the issuer never gives to another"),
    sa.Column("person", sa.String(128), nullable=False, comment="who it is, as of the last login: compared with others"),
    sa.Column("name", sa.String(80), comment="what the provider calls the person: shown, and never compared"),
    sa.Column("first_login_at", UtcDateTime(), nullable=False),
    sa.Column("last_login_at", UtcDateTime(), nullable=False),
    sa.Column("revoked_at", UtcDateTime(), comment="while it is set, the person cannot log in"),
    sa.Column("revoked_by", sa.String(64)),
    sa.UniqueConstraint("issuer", "subject"),
)  # fmt: skip

oidc_logins = sa.Table(
    "oidc_logins",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True, comment="SHA-256 of the login's state; its row goes when it is used"),
    sa.Column("browser", sa.String(64), nullable=False, comment="SHA-256 of the cookie of the browser that began it"),
    sa.Column("expires_at", UtcDateTime(), nullable=False, index=True),
)  # fmt: skip
