"""Add the changes that open event streams are told of: triggers record them while a process asks for them."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None
# Two tables, and triggers that do nothing until a process of this version asks for changes.
COMPATIBLE_SINCE = "0024"

WATCHED = {
    # table: (kind, columns whose change counts; None: a new row counts alone)
    "sessions": ("session", ("version",)),
    "treasury_payouts": ("payout", ("status", "reason", "tx_hash", "approved_by", "retry_by", "cleared_by")),
    "treasury_sweeps": ("sweep", ("status", "reason", "tx_hash", "approved_by")),
    "treasury_pauses": ("pause", ("status", "at")),
    "treasury_policies": ("policy", ("status", "proposed_by", "approved_by")),
    "treasury_usdc_settlements": ("settlement", ("status", "verified", "contradiction", "approved_by", "reversal_by")),
    "treasury_foreign": ("incident", ("note", "answered_at", "payout_id")),
    "treasury_answers": ("incident", ("status", "amount", "asked_by")),
    "treasury_balances": ("balance", ("amount",)),
    "alarms": ("alarm", ("ended_at", "acknowledged_at")),
    "notices": ("notice", ("status", "attempts")),
    "webhook_events": ("event", ("state", "tries")),
    "api_keys": ("key", ("revoked_at", "confirmed_by", "otp_enrolled_at")),
    "webhook_endpoints": ("webhook", ("status", "url", "failing_since")),
    "webhook_deliveries": ("delivery", ("status", "tries")),
    "audit_entries": ("audit", None),
}


def upgrade() -> None:
    """Apply this migration."""
    op.create_table(
        "live_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False, comment="the id of the row that changed"),
        sa.Column("at", _time(), nullable=False, comment="on the database's clock"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "live_watchers",
        sa.Column("id", sa.String(80), primary_key=True, comment="the process"),
        sa.Column("watches_until", _time(), nullable=False, comment="on the database's clock"),
    )
    if _is_postgres():
        op.execute(
            "CREATE FUNCTION record_live_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF EXISTS (SELECT 1 FROM live_watchers WHERE watches_until > clock_timestamp()) THEN "
            "INSERT INTO live_changes (kind, subject, at) VALUES (TG_ARGV[0], left(NEW.id::text, 255), clock_timestamp()); "
            "END IF; RETURN NULL; END $$"
        )
    for table, (kind, columns) in WATCHED.items():
        (_postgres if _is_postgres() else _sqlite)(table, kind, columns)


def downgrade() -> None:
    """Undo this migration."""
    for table, (_, columns) in WATCHED.items():
        for event in ("insert", "update")[: 1 if columns is None else 2]:
            op.execute(f"DROP TRIGGER {table}_live_{event}" + (f" ON {table}" if _is_postgres() else ""))
    if _is_postgres():
        op.execute("DROP FUNCTION record_live_change()")
    op.drop_table("live_watchers")
    op.drop_table("live_changes")


def _is_postgres() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")


def _time() -> sa.DateTime | sa.String:
    return sa.DateTime(timezone=True) if _is_postgres() else sa.String(27)


def _postgres(table: str, kind: str, columns: tuple[str, ...] | None) -> None:
    run = f"FOR EACH ROW {{}}EXECUTE FUNCTION record_live_change('{kind}')"
    op.execute(f"CREATE TRIGGER {table}_live_insert AFTER INSERT ON {table} " + run.format(""))
    if columns is not None:
        differs = " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in columns)
        op.execute(f"CREATE TRIGGER {table}_live_update AFTER UPDATE ON {table} " + run.format(f"WHEN ({differs}) "))


def _sqlite(table: str, kind: str, columns: tuple[str, ...] | None) -> None:
    now = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"
    is_watched = f"EXISTS (SELECT 1 FROM live_watchers WHERE watches_until > {now})"
    record = f"BEGIN INSERT INTO live_changes (kind, subject, at) VALUES ('{kind}', substr(NEW.id, 1, 255), {now}); END"
    op.execute(f"CREATE TRIGGER {table}_live_insert AFTER INSERT ON {table} FOR EACH ROW WHEN {is_watched} {record}")
    if columns is not None:
        differs = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in columns)
        op.execute(f"CREATE TRIGGER {table}_live_update AFTER UPDATE ON {table} FOR EACH ROW WHEN ({differs}) AND {is_watched} {record}")
