"""Create the tables of API keys, and of the audit trail with its hash chain, whose rows the database itself refuses to change."""

import sqlalchemy as sa
from alembic import op

from kit.db import types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_APPEND_ONLY = ("audit_entries", "audit_links")


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=12), nullable=False),
        sa.Column(
            "person", sa.String(length=80), nullable=False, comment="whose it is: two keys of one person are one person"
        ),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("confirmed_by", sa.String(length=64), comment="the approver's key that ended the wait of a new key"),
        sa.Column("last_used_at", types.UtcDateTime()),
        sa.Column("revoked_at", types.UtcDateTime()),
        sa.Column("otp_sealed", sa.Text(), comment="the second factor's secret, encrypted"),
        sa.Column("otp_enrolled_at", types.UtcDateTime(), comment="null while the first code has not come"),
        sa.Column("otp_step", sa.BigInteger(), comment="the newest time step that was used: a code works once"),
        sa.Column("otp_failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("otp_locked_until", types.UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_table(
        "api_key_secrets",
        sa.Column("id", sa.String(length=64), nullable=False, comment="HMAC-SHA256 of the secret"),
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("active_from", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), comment="set by a rotation: the end of the overlap"),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_api_key_secrets_key_id_api_keys")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key_secrets")),
    )
    op.create_index(op.f("ix_api_key_secrets_key_id"), "api_key_secrets", ["key_id"])
    op.create_table(
        "audit_entries",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column(
            "actor",
            sa.String(length=64),
            nullable=False,
            comment="a key's id, a worker's name, or the machine's operator",
        ),
        sa.Column("action", sa.String(length=64), nullable=False, comment="such as payout.approve"),
        sa.Column("subject", sa.String(length=80), nullable=False, comment="the id of what was changed"),
        sa.Column("before", sa.JSON(), comment="ids, states, digests; never a personal value"),
        sa.Column("after", sa.JSON()),
        sa.Column("request_id", sa.String(length=128)),
        sa.Column("policy_version", sa.Integer()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_subject", "audit_entries", ["subject", "id"])
    op.create_table(
        "audit_links",
        sa.Column(
            "number", _NUMBER, autoincrement=False, nullable=False, comment="1, 2, 3: the order of the chain"
        ),
        sa.Column("entry_id", _NUMBER, nullable=False),
        sa.Column(
            "hash", sa.String(length=64), nullable=False, comment="keyed: over the previous hash and the entry"
        ),
        sa.Column("key_id", sa.String(length=8), nullable=False, comment="which key of DATA_KEYS"),
        sa.Column("sealed_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_links")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_audit_links_entry_id")),
    )
    _forbid_changes()


def _forbid_changes() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$"
        )
        for table in _APPEND_ONLY:
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
            )
        return
    for table in _APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
            )


def downgrade() -> None:
    for table in ("audit_links", "audit_entries", "api_key_secrets", "api_keys"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_append_only()")
