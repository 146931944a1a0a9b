"""Create indexes and counts with which each query costs as much as there are open rows, however many have ended.

On Postgres, writers of the tables wait while the indexes are built: 16 s with a million purchases. In the migration's transaction they
cannot be built concurrently; outside of it an interruption would leave an index that is not valid, and the migration would not be all or
nothing. An index that exists is skipped, so that an operator can create them concurrently beforehand: docs/deploying.md has the statements.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0017"

INDEXES = {
    "ix_sessions_created": ("sessions", ("created_at", "id"), None),
    "ix_sessions_tx_hash": ("sessions", ("tx_hash",), "tx_hash IS NOT NULL"),
    "ix_sessions_unconfirmed": (
        "sessions",
        ("delivery_status", "paid_at"),
        "payment_status = 'fulfillment_complete' AND delivery_status <> 'confirmed'",
    ),
    "ix_sessions_client_keys": ("sessions", ("created_at",), "body_hash IS NOT NULL"),
    "ix_webhook_events_session": ("webhook_events", ("stripe_session_id",), None),
    "ix_webhook_events_received": ("webhook_events", ("received_at", "id"), None),
    "ix_treasury_payouts_status": ("treasury_payouts", ("status", "created_at", "id"), None),
    "ix_treasury_payouts_created": ("treasury_payouts", ("created_at", "id"), None),
    "ix_treasury_payouts_recipient": ("treasury_payouts", ("to_address", "created_at"), None),
    "ix_treasury_payouts_final": ("treasury_payouts", ("wallet", "asset", "block_number"), "status = 'final'"),
    "ix_treasury_transactions_state": ("treasury_transactions", ("chain_id", "wallet", "status", "nonce"), None),
    "ix_treasury_transactions_created": ("treasury_transactions", ("created_at",), None),
    "ix_treasury_transactions_block": ("treasury_transactions", ("wallet", "block_number"), None),
    "ix_treasury_ledger_block": ("treasury_ledger", ("wallet", "asset", "block_number"), "block_number IS NOT NULL"),
}
"""The table, the columns and the condition of each index, by its name."""
COUNTED = (
    ("sessions", "sessions", "payment_status", ("fulfillment_complete", "expired", "rejected")),
    ("deliveries", "sessions", "delivery_status", ("confirmed",)),
    ("payouts", "treasury_payouts", "status", ("final", "cancelled", "rejected", "reverted")),
)
"""Subject, table, column, and the states whose rows accumulate for ever."""


def upgrade() -> None:
    for name, (table, names, where) in INDEXES.items():
        predicate = None if where is None else sa.text(where)
        op.create_index(
            name, table, list(names), sqlite_where=predicate, postgresql_where=predicate, if_not_exists=True
        )
    op.drop_index("ix_treasury_payouts_queue", table_name="treasury_payouts")
    op.drop_index("ix_treasury_transactions_status", table_name="treasury_transactions")
    op.create_table(
        "ended_counts",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("subject", sa.String(length=32), nullable=False, comment="which rows: sessions, deliveries, payouts"),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False, comment="how many more are in this state"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ended_counts")),
    )
    is_postgres = op.get_bind().dialect.name == "postgresql"
    if is_postgres:
        # The planner takes the two axes for independent, and many unconfirmed sessions for paid: it would read all payouts to join
        # them. Abandoned sessions stay `awaiting`, so only statistics of both together tell it how few are waited for.
        op.execute("CREATE STATISTICS st_sessions_axes (mcv) ON payment_status, delivery_status FROM sessions")
        op.execute("ANALYZE sessions")
        # One argument for each: the column, the subject, and the states that are counted.
        op.execute(
            "CREATE FUNCTION count_ended() RETURNS trigger LANGUAGE plpgsql AS $$ "
            "DECLARE was text; becomes text; BEGIN "
            "IF TG_OP <> 'INSERT' THEN was := to_jsonb(OLD) ->> TG_ARGV[0]; END IF; "
            "IF TG_OP <> 'DELETE' THEN becomes := to_jsonb(NEW) ->> TG_ARGV[0]; END IF; "
            "INSERT INTO ended_counts (subject, status, change) "
            "SELECT TG_ARGV[1], states.status, states.change FROM (VALUES (was, -1), (becomes, 1)) AS states (status, change) "
            "WHERE states.status = ANY (string_to_array(TG_ARGV[2], ',')); "
            "RETURN NULL; END $$"
        )
    for subject, table, column, states in COUNTED:
        (_postgres_triggers if is_postgres else _sqlite_triggers)(subject, table, column, states)
        # With the triggers, no other transaction can change a row before this one ends: nothing is counted twice, or not at all.
        op.execute(
            f"INSERT INTO ended_counts (subject, status, change) SELECT '{subject}', {column}, count(*) FROM {table} "
            f"WHERE {column} IN ({_list(states)}) GROUP BY {column}"
        )


def _list(states: tuple[str, ...]) -> str:
    return ", ".join(f"'{one}'" for one in states)


def _events(column: str, states: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """When a trigger is called: event -> its clause, and the condition; nothing is done for rows that do not end."""
    new, old = f"NEW.{column} IN ({_list(states)})", f"OLD.{column} IN ({_list(states)})"
    return {
        "insert": ("INSERT", new),
        "update": (f"UPDATE OF {column}", f"OLD.{column} <> NEW.{column} AND ({old} OR {new})"),
        "delete": ("DELETE", old),
    }


def _postgres_triggers(subject: str, table: str, column: str, states: tuple[str, ...]) -> None:
    for event, (clause, condition) in _events(column, states).items():
        op.execute(
            f"CREATE TRIGGER count_ended_{subject}_{event} AFTER {clause} ON {table} FOR EACH ROW WHEN ({condition}) "
            f"EXECUTE FUNCTION count_ended('{column}', '{subject}', '{','.join(states)}')"
        )


def _sqlite_triggers(subject: str, table: str, column: str, states: tuple[str, ...]) -> None:
    row = "INSERT INTO ended_counts (subject, status, change) SELECT '{subject}', {value}, {change} WHERE {value} IN ({states});"
    minus = row.format(subject=subject, value=f"OLD.{column}", change=-1, states=_list(states))
    plus = row.format(subject=subject, value=f"NEW.{column}", change=1, states=_list(states))
    bodies = {"insert": plus, "update": f"{minus} {plus}", "delete": minus}
    for event, (clause, condition) in _events(column, states).items():
        op.execute(
            f"CREATE TRIGGER count_ended_{subject}_{event} AFTER {clause} ON {table} FOR EACH ROW WHEN {condition} "
            f"BEGIN {bodies[event]} END"
        )


def downgrade() -> None:
    is_postgres = op.get_bind().dialect.name == "postgresql"
    for subject, table, column, states in COUNTED:
        for event in _events(column, states):
            on = f" ON {table}" if is_postgres else ""
            op.execute(f"DROP TRIGGER count_ended_{subject}_{event}{on}")
    if is_postgres:
        op.execute("DROP FUNCTION count_ended()")
        op.execute("DROP STATISTICS st_sessions_axes")
    op.drop_table("ended_counts")
    op.create_index("ix_treasury_transactions_status", "treasury_transactions", ["status"])
    op.create_index("ix_treasury_payouts_queue", "treasury_payouts", ["wallet", "status", "created_at", "id"])
    for name, (table, _, _) in INDEXES.items():
        op.drop_index(name, table_name=table)
