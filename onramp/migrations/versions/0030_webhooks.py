"""Add the endpoints, messages and deliveries of outgoing webhooks, and store changes of alarms for those who subscribed to them."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None
# New tables, and triggers that do nothing until an endpoint subscribes to alarms.
COMPATIBLE_SINCE = "0024"

PENDING = sa.text("status = 'pending'")
HIDDEN = ("facts", "process", "announced", "announce_at", "acknowledged_at", "acknowledged_by")
"""The columns of `alarms` that no change contains."""


def upgrade() -> None:
    """Apply this migration."""
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False, comment='types of events, or ["*"]'),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("disabled_reason", sa.String(24), comment="by_hand, gone, failing or secret_unreadable"),
        sa.Column("disabled_at", _time()),
        sa.Column("secret_sealed", sa.Text(), nullable=False, comment="the current secret, encrypted"),
        sa.Column("signing_key_sealed", sa.Text(), comment="the current ed25519 key, encrypted; null: HMAC alone"),
        sa.Column("earlier_secrets", sa.JSON(), nullable=False, comment="those that still sign, with their ends"),
        sa.Column("failing_since", _time(), comment="the first failure since the last success"),
        sa.Column("last_success_at", _time()),
        sa.Column("created_at", _time(), nullable=False),
        sa.Column("updated_at", _time(), nullable=False),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("lease_until", _time()),
        sa.CheckConstraint("status IN ('enabled', 'disabled')", name=op.f("ck_webhook_endpoints_status")),
    )
    op.create_table(
        "webhook_messages",
        sa.Column("id", sa.String(64), primary_key=True, comment="the header webhook-id, the same in every attempt"),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False, comment="the id of what the event is about"),
        sa.Column("body", sa.Text(), nullable=False, comment="JSON, sent as it is stored"),
        sa.Column("created_at", _time(), nullable=False, comment="when it happened"),
    )
    op.create_index("ix_webhook_messages_created_at", "webhook_messages", ["created_at"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("endpoint_id", sa.String(64), nullable=False),
        sa.Column("message_id", sa.String(64), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0", comment="attempts in this round of the schedule"),
        sa.Column("attempts", sa.JSON(), nullable=False, comment="the newest attempts of all rounds"),
        sa.Column("response_body", sa.String(2048), comment="the beginning of the newest answer"),
        sa.Column("due_at", _time(), nullable=False),
        sa.Column("created_at", _time(), nullable=False, comment="that of its message"),
        sa.Column("ended_at", _time(), comment="when it was delivered or given up"),
        sa.UniqueConstraint("message_id", "endpoint_id", name=op.f("uq_webhook_deliveries_message_id_endpoint_id")),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_status")),
    )
    op.create_index("ix_webhook_deliveries_due", "webhook_deliveries", ["endpoint_id", "due_at"], sqlite_where=PENDING, postgresql_where=PENDING)
    op.create_index("ix_webhook_deliveries_created", "webhook_deliveries", ["endpoint_id", "created_at", "id"])
    op.create_index("ix_webhook_deliveries_created_at", "webhook_deliveries", ["created_at"])
    (_postgres if _is_postgres() else _sqlite)()


def downgrade() -> None:
    """Undo this migration. Endpoints, and messages that were not delivered yet, are lost."""
    for event in ("insert", "update"):
        op.execute(f"DROP TRIGGER alarm_change_{event}" + (" ON alarms" if _is_postgres() else ""))
    if _is_postgres():
        op.execute("DROP FUNCTION store_alarm_change()")
    op.execute("DELETE FROM change_consumers WHERE consumer = 'webhooks'")
    op.drop_table("webhook_deliveries")
    op.drop_table("webhook_messages")
    op.drop_table("webhook_endpoints")


def _is_postgres() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")


def _time() -> sa.DateTime | sa.String:
    return sa.DateTime(timezone=True) if _is_postgres() else sa.String(27)


def _postgres() -> None:
    op.execute(
        "CREATE FUNCTION store_alarm_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF EXISTS (SELECT 1 FROM change_consumers WHERE topic = 'alarm') THEN "
        "INSERT INTO changes (topic, subject, at, old_row, new_row) VALUES ('alarm', NEW.id, clock_timestamp(), "
        f"CASE WHEN TG_OP = 'UPDATE' THEN json_build_object('ended_at', OLD.ended_at) END, to_jsonb(NEW) - '{{{', '.join(HIDDEN)}}}'::text[]); "
        "END IF; RETURN NULL; END $$"
    )
    op.execute("CREATE TRIGGER alarm_change_insert AFTER INSERT ON alarms FOR EACH ROW EXECUTE FUNCTION store_alarm_change()")
    op.execute(
        "CREATE TRIGGER alarm_change_update AFTER UPDATE ON alarms FOR EACH ROW WHEN (OLD.ended_at IS DISTINCT FROM NEW.ended_at) "
        "EXECUTE FUNCTION store_alarm_change()"
    )


def _sqlite() -> None:
    # A new column of `alarms` that events show needs the triggers to be made again.
    names = [column["name"] for column in sa.inspect(op.get_bind()).get_columns("alarms")]
    row = ", ".join(f"'{name}', NEW.{name}" for name in names if name not in HIDDEN)
    changed = "OLD.ended_at IS NOT NEW.ended_at AND "
    for event, condition, old_row in (("insert", "", "NULL"), ("update", changed, "json_object('ended_at', OLD.ended_at)")):
        op.execute(
            f"CREATE TRIGGER alarm_change_{event} AFTER {event.upper()} ON alarms FOR EACH ROW "
            f"WHEN {condition}EXISTS (SELECT 1 FROM change_consumers WHERE topic = 'alarm') BEGIN "
            "INSERT INTO changes (topic, subject, at, old_row, new_row) VALUES "
            f"('alarm', NEW.id, strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'), {old_row}, json_object({row})); END"
        )
