"""Add what a dApp stores with a purchase, a key role for its server, and a trigger that increments a session's version at every change."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None
# Columns that may be null, an index, a wider check, and a trigger that does nothing where the version is already increased.
COMPATIBLE_SINCE = "0024"

COLUMNS = (
    ("reference", 200, "the dApp's own name for the purchase, such as an order's id"),
    ("return_url", 2048, "where the buyer goes back to; its origin was allowed"),
    ("locale", 35, "BCP 47: the language that the buyer reads"),
)
"""The name, length and comment of each new column of `sessions`."""
BOOKKEEPING = (
    "id", "version", "from_block", "idempotency_hash", "body_hash", "stripe_key_generation", "has_email", "refusal_code", "refusal_detail",
    "livemode", "asked_at", "tries", "deployment_id", "chain_id", "hot_wallet", "lease_owner", "lease_until",
)  # fmt: skip
"""The columns of `sessions` that no response shows; a change of any other one increments the version."""
BEFORE = ("viewer", "operator", "approver", "admin")
ROLES = ("viewer", "operator", "approver", "admin", "dapp")
ROLE_TABLES = ("api_keys", "invitations")
_HAS_REFERENCE = sa.text("reference IS NOT NULL")


def upgrade() -> None:
    """Apply this migration."""
    for name, length, comment in COLUMNS:
        op.add_column("sessions", sa.Column(name, sa.String(length), nullable=True, comment=comment))
    op.create_index(
        "ix_sessions_reference", "sessions", ["reference", "created_at", "id"],
        sqlite_where=_HAS_REFERENCE, postgresql_where=_HAS_REFERENCE,
    )  # fmt: skip
    for table in ROLE_TABLES:
        _check_role(table, ROLES)
    (_postgres_trigger if _is_postgres() else _sqlite_trigger)()


def downgrade() -> None:
    """Undo this migration; refused while a key or an invitation of the role `dapp` is stored, revoked ones included."""
    op.execute("DROP TRIGGER sessions_version ON sessions" if _is_postgres() else "DROP TRIGGER sessions_version")
    if _is_postgres():
        op.execute("DROP FUNCTION increase_session_version()")
    for table in ROLE_TABLES:
        _check_role(table, BEFORE)
    op.drop_index("ix_sessions_reference", table_name="sessions")
    for name, _, _ in COLUMNS:
        op.drop_column("sessions", name)


def _is_postgres() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")


def _check_role(table: str, roles: tuple[str, ...]) -> None:
    name, condition = op.f(f"ck_{table}_role"), _one_of(roles)
    if _is_postgres():
        op.drop_constraint(name, table)
        op.create_check_constraint(name, table, condition)
        return
    # SQLite can change a constraint only by copying the table; both have some dozen rows.
    with op.batch_alter_table(table, recreate="always") as batch:
        batch.drop_constraint(name, type_="check")
        batch.create_check_constraint(name, sa.text(condition))


def _one_of(roles: tuple[str, ...]) -> str:
    return f"role IN ({', '.join(repr(role) for role in roles)})"


def _postgres_trigger() -> None:
    # By name at run time, so that no column depends on the trigger: a later revision may drop one, and a new one is guarded at once.
    hidden = f"'{{{', '.join(BOOKKEEPING)}}}'::text[]"
    op.execute(
        "CREATE FUNCTION increase_session_version() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NEW.version < OLD.version OR to_jsonb(NEW) - {hidden} IS DISTINCT FROM to_jsonb(OLD) - {hidden} "
        "THEN NEW.version := OLD.version + 1; END IF; RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER sessions_version BEFORE UPDATE ON sessions FOR EACH ROW WHEN (NEW.version <= OLD.version) "
        "EXECUTE FUNCTION increase_session_version()"
    )


def _sqlite_trigger() -> None:
    # SQLite has no name of a column at run time. A list after UPDATE OF ties no column to the trigger, as an expression would; in exchange a
    # statement that sets such a column to what it is increases the version, too. A new column needs the trigger to be made again.
    columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns("sessions")]
    names = ", ".join(["version", *(name for name in columns if name not in BOOKKEEPING)])
    op.execute(
        f"CREATE TRIGGER sessions_version AFTER UPDATE OF {names} ON sessions FOR EACH ROW WHEN NEW.version <= OLD.version "
        "BEGIN UPDATE sessions SET version = OLD.version + 1 WHERE id = NEW.id; END"
    )
