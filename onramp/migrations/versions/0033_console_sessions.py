"""Add sessions of the console, the persons of an OpenID Connect provider, and logins that have begun."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None
# New tables alone, which the previous version does not know.
COMPATIBLE_SINCE = "0024"


def upgrade() -> None:
    """Apply this migration."""
    is_postgres = op.get_bind().dialect.name == "postgresql"
    moment = sa.DateTime(timezone=True) if is_postgres else sa.String(27)
    op.create_table(
        "oidc_identities",
        sa.Column("id", sa.String(64), primary_key=True, comment="oid_ and a hash of issuer and subject"),
        sa.Column("issuer", sa.String(300), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False, comment="the claim sub, which the issuer never gives to another"),
        sa.Column("person", sa.String(128), nullable=False, comment="who it is, as of the last login: compared with others"),
        sa.Column("name", sa.String(80), comment="what the provider calls the person: shown, and never compared"),
        sa.Column("first_login_at", moment, nullable=False),
        sa.Column("last_login_at", moment, nullable=False),
        sa.Column("revoked_at", moment, comment="while it is set, the person cannot log in"),
        sa.Column("revoked_by", sa.String(64)),
        sa.UniqueConstraint("issuer", "subject"),
    )
    op.create_table(
        "oidc_logins",
        sa.Column("id", sa.String(64), primary_key=True, comment="SHA-256 of the login's state; its row goes when it is used"),
        sa.Column("browser", sa.String(64), nullable=False, comment="SHA-256 of the cookie of the browser that began it"),
        sa.Column("expires_at", moment, nullable=False, index=True),
    )
    op.create_table(
        "console_sessions",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("secret_hash", sa.String(64), nullable=False, unique=True, comment="HMAC-SHA256 of the cookie's secret"),
        sa.Column("method", sa.String(8), nullable=False, comment="how the person logged in"),
        sa.Column("key_id", sa.String(64), sa.ForeignKey("api_keys.id"), index=True, comment="the key of a login by key"),
        sa.Column("key_secret_hash", sa.String(64), comment="the secret of that login: the session ends when this secret does"),
        sa.Column("identity_id", sa.String(64), sa.ForeignKey("oidc_identities.id"), index=True, comment="of a login by OIDC"),
        sa.Column("role", sa.String(12), comment="the role of a login by OIDC; a key's role is the key's"),
        sa.Column("configuration", sa.String(64), comment="hash of the OIDC settings of that login: others end the session"),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("last_used_at", moment, nullable=False, comment="to the minute"),
        sa.Column("expires_at", moment, nullable=False, index=True),
        sa.Column("ended_at", moment),
        sa.Column("ended_by", sa.String(64), comment="the key or identity that ended it, or the machine"),
        sa.CheckConstraint("method IN ('key', 'oidc')", name=op.f("ck_console_sessions_method")),
        sa.CheckConstraint("role IN ('viewer', 'operator', 'approver', 'admin')", name=op.f("ck_console_sessions_role")),
    )


def downgrade() -> None:
    """Undo this migration. Everybody logs in to the console again."""
    op.drop_table("console_sessions")
    op.drop_table("oidc_logins")
    op.drop_table("oidc_identities")
