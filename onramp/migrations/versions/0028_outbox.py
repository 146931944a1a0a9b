"""Add the outbox: triggers store changes of sessions, payouts, sweeps, pauses, policies and API keys for those who subscribed to them."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None
# Two tables, and triggers that do nothing until a process of this version subscribes to a topic.
COMPATIBLE_SINCE = "0024"

SECRET = {
    "sessions": ("idempotency_hash", "body_hash", "lease_owner", "lease_until"),
    "api_keys": ("otp_sealed", "otp_enrolled_at", "otp_step", "otp_failures", "otp_locked_until", "makers"),
}
"""The columns of each table that no change contains."""
WATCHED = {
    # table: (topic, columns whose change counts, columns of the row before it that are stored)
    "sessions": ("session", ("version",), ("version", "payment_status", "delivery_status", "overdue", "attention", "block_hash")),
    "treasury_payouts": ("payout", ("status", "reason"), ("status", "reason")),
    "treasury_sweeps": ("sweep", ("status", "reason"), ("status", "reason")),
    "treasury_pauses": ("pause", ("status",), ("status",)),
    "treasury_policies": ("policy", ("status",), ("status",)),
    "api_keys": ("key", ("revoked_at",), ("revoked_at",)),
}  # fmt: skip


def upgrade() -> None:
    """Apply this migration."""
    op.create_table(
        "changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("topic", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(80), nullable=False, comment="the id of the row that changed"),
        sa.Column("at", _time(), nullable=False, comment="on the database's clock"),
        sa.Column("old_row", sa.JSON(none_as_null=True), comment="some columns of the row before the change; null: it is new"),
        sa.Column("new_row", sa.JSON(), nullable=False),
        sa.Column("parked_at", _time(), comment="when planning it failed by itself"),
        sa.Column("parked_reason", sa.String(200)),
    )
    op.create_table(
        "change_consumers",
        sa.Column("id", sa.String(64), primary_key=True, comment="consumer/topic"),
        sa.Column("consumer", sa.String(32), nullable=False),
        sa.Column("topic", sa.String(16), nullable=False),
    )
    op.create_index("ix_change_consumers_topic", "change_consumers", ["topic"])
    for table in WATCHED:
        (_postgres if _is_postgres() else _sqlite)(table)


def downgrade() -> None:
    """Undo this migration. Stored changes are lost: what was not planned yet is not sent."""
    for table, (topic, _, _) in WATCHED.items():
        for event in ("insert", "update"):
            op.execute(f"DROP TRIGGER {topic}_change_{event}" + (f" ON {table}" if _is_postgres() else ""))
        if _is_postgres():
            op.execute(f"DROP FUNCTION store_{topic}_change()")
    op.drop_table("change_consumers")
    op.drop_table("changes")


def _is_postgres() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")


def _time() -> sa.DateTime | sa.String:
    return sa.DateTime(timezone=True) if _is_postgres() else sa.String(27)


def _postgres(table: str) -> None:
    topic, watched, before = WATCHED[table]
    # By name at run time, so that no column depends on the trigger, and a new column is stored at once.
    hidden = f"'{{{', '.join(SECRET.get(table, ()))}}}'::text[]"
    old = ", ".join(f"'{name}', OLD.{name}" for name in before)
    op.execute(
        f"CREATE FUNCTION store_{topic}_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF EXISTS (SELECT 1 FROM change_consumers WHERE topic = '{topic}') THEN "
        "INSERT INTO changes (topic, subject, at, old_row, new_row) VALUES "
        f"('{topic}', NEW.id, clock_timestamp(), CASE WHEN TG_OP = 'UPDATE' THEN json_build_object({old}) END, to_jsonb(NEW) - {hidden}); "
        "END IF; RETURN NULL; END $$"
    )
    op.execute(f"CREATE TRIGGER {topic}_change_insert AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION store_{topic}_change()")
    differs = " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in watched)
    op.execute(
        f"CREATE TRIGGER {topic}_change_update AFTER UPDATE ON {table} FOR EACH ROW WHEN ({differs}) EXECUTE FUNCTION store_{topic}_change()"
    )


def _sqlite(table: str) -> None:
    # SQLite has no name of a column at run time: a new column of a watched table needs its triggers to be made again.
    topic, watched, before = WATCHED[table]
    columns = [column for column in sa.inspect(op.get_bind()).get_columns(table) if column["name"] not in SECRET.get(table, ())]
    row = ", ".join(
        f"'{column['name']}', {'json(NEW.%s)' if isinstance(column['type'], sa.JSON) else 'NEW.%s'}" % column["name"] for column in columns
    )
    old = ", ".join(f"'{name}', OLD.{name}" for name in before)
    differs = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in watched)
    for event, condition, old_row in (("insert", "", "NULL"), ("update", f"({differs}) AND ", f"json_object({old})")):
        op.execute(
            f"CREATE TRIGGER {topic}_change_{event} AFTER {event.upper()} ON {table} FOR EACH ROW "
            f"WHEN {condition}EXISTS (SELECT 1 FROM change_consumers WHERE topic = '{topic}') BEGIN "
            "INSERT INTO changes (topic, subject, at, old_row, new_row) VALUES "
            f"('{topic}', NEW.id, strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), {old_row}, json_object({row})); END"
        )
