"""Create the tables of passkeys, of their challenges and of the plans that they signed. Nothing that exists is locked."""

import sqlalchemy as sa
from alembic import op

import kit.db.types

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0024"  # tables of their own, which earlier code does not use


def upgrade() -> None:
    """Apply this migration."""
    op.create_table(
        "passkeys",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("person", sa.String(128), nullable=False, comment="whose device it is, as persons are compared"),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("credential_id", sa.String(1400), nullable=False, comment="base64url"),
        sa.Column("public_key", sa.Text(), nullable=False, comment="COSE key, base64url"),
        sa.Column("sign_count", sa.BigInteger(), nullable=False, comment="the authenticator's counter; 0: it has none"),
        sa.Column("backed_up", sa.Boolean(), nullable=False, comment="whether it is synchronised between devices"),
        sa.Column("transports", sa.JSON(), nullable=False),
        sa.Column("created_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False, comment="the key or session that enrolled it"),
        sa.Column("last_used_at", kit.db.types.UtcDateTime(), nullable=True),
        sa.Column("removed_at", kit.db.types.UtcDateTime(), nullable=True),
        sa.Column("removed_by", sa.String(64), nullable=True),
        sa.Column("seal", sa.String(64), nullable=False, comment="HMAC-SHA256 of person, credential and public key"),
        sa.Column("key_id", sa.String(8), nullable=False, comment="which key of DATA_KEYS made the seal"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkeys_credential_id")),
    )
    op.create_index("ix_passkeys_person", "passkeys", ["person"])
    op.create_table(
        "passkey_challenges",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("person", sa.String(128), nullable=False),
        sa.Column("challenge", sa.String(64), nullable=False, comment="32 bytes in hex; of a permission the hash of its secret"),
        sa.Column("action", sa.String(64), nullable=True),
        sa.Column("subject", sa.String(80), nullable=True),
        sa.Column("plan_text", sa.Text(), nullable=True, comment="the canonical text that is signed"),
        sa.Column("nonce", sa.String(64), nullable=True),
        sa.Column("created_by", sa.String(64), nullable=False, comment="the key or session that asked for it"),
        sa.Column("created_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.Column("used_at", kit.db.types.UtcDateTime(), nullable=True, comment="it counts once"),
        sa.CheckConstraint("kind IN ('registration', 'approval', 'permission')", name=op.f("ck_passkey_challenges_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey_challenges")),
    )
    op.create_index("ix_passkey_challenges_expires_at", "passkey_challenges", ["expires_at"])
    op.create_table(
        "plan_signatures",
        sa.Column("id", sa.String(64), nullable=False, comment="the challenge: one signature each"),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(80), nullable=False, comment="the id of what was decided about"),
        sa.Column("person", sa.String(128), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False, comment="the key or session that sent the command"),
        sa.Column("caller_role", sa.String(12), nullable=False),
        sa.Column("passkey_id", sa.String(64), nullable=False),
        sa.Column("credential_id", sa.String(1400), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("plan_text", sa.Text(), nullable=False, comment="the canonical text whose SHA-256 was signed"),
        sa.Column("plan_hash", sa.String(66), nullable=False),
        sa.Column("rp_id", sa.String(255), nullable=False),
        sa.Column("origin", sa.String(300), nullable=False),
        sa.Column("credential", sa.Text(), nullable=False, comment="the browser's whole answer, as JSON"),
        sa.Column("signed_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.Column("seal", sa.String(64), nullable=False, comment="HMAC-SHA256 of everything else"),
        sa.Column("key_id", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_signatures")),
    )
    op.create_index("ix_plan_signatures_subject", "plan_signatures", ["subject", "signed_at"])
    _refuse_changes()


def _refuse_changes() -> None:
    """Refuse every change of a signature, as of the audit trail."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER plan_signatures_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON plan_signatures "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER plan_signatures_no_{verb.lower()} BEFORE {verb} ON plan_signatures "
            "BEGIN SELECT RAISE(ABORT, 'signatures are append-only'); END"
        )


def downgrade() -> None:
    """Undo this migration. Approvals can no longer be proved."""
    op.drop_table("plan_signatures")
    op.drop_table("passkey_challenges")
    op.drop_table("passkeys")
