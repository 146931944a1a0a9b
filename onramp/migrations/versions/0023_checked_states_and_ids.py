"""Check states in the database, give ids of one kind one width, and rename columns whose names are reserved words."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None
# Columns get other names: code before this revision cannot read them.
COMPATIBLE_SINCE = "0023"

_OPERATION = (
    "planned", "awaiting_approval", "approved", "signed", "broadcast", "mined", "final", "held", "rejected", "cancelled", "reverted",
)  # fmt: skip
_ROLES = ("viewer", "operator", "approver", "admin")
CHECKS = {
    ("sessions", "payment_status"): (
        "created", "initialized", "requires_payment", "fulfillment_processing", "fulfillment_complete", "rejected", "expired",
    ),
    ("sessions", "delivery_status"): ("awaiting", "seen", "confirmed", "mismatch"),
    ("sessions", "mode"): ("payout", "observe"),
    ("session_searches", "state"): ("open", "looking", "paid", "owed", "unpaid"),
    ("webhook_events", "state"): ("pending", "handled", "ignored", "parked"),
    ("treasury_payouts", "status"): _OPERATION,
    ("treasury_sweeps", "status"): _OPERATION,
    ("treasury_sweeps", "kind"): ("sweep", "panic"),
    ("treasury_transactions", "status"): _OPERATION,
    ("treasury_policies", "status"): ("proposed", "approved", "active", "superseded", "rejected"),
    ("treasury_pauses", "status"): ("paused", "running"),
    ("treasury_answers", "status"): ("asked", "answered"),
    ("treasury_usdc_settlements", "status"): (
        "awaiting_approval", "settled", "reversal_awaiting_approval", "reversed", "rejected",
    ),
    ("api_keys", "role"): _ROLES,
    ("invitations", "role"): _ROLES,
}  # fmt: skip
"""The values that each column may have, by table and column."""
WIDTHS = {
    ("sessions", "id"): (40, 64),
    ("sessions", "deployment_id"): (40, 64),
    ("session_searches", "id"): (40, 64),
    ("privacy_contacts", "session_id"): (40, 64),
    ("transfers", "session_id"): (40, 64),
    ("treasury_payouts", "stripe_session_id"): (128, 255),
    ("api_keys", "id"): (40, 64),
    ("api_keys", "person"): (80, 128),
    ("api_key_secrets", "key_id"): (40, 64),
    ("invitations", "id"): (40, 64),
    ("invitations", "key_id"): (40, 64),
    ("invitations", "person"): (80, 128),
    ("deployment", "id"): (40, 64),
    ("treasury_history", "subject_id"): (64, 80),
    ("treasury_answers", "subject"): (64, 80),
}
"""The old and the new width of each column, by table and column. None gets narrower, so that every value fits."""
NAMES = {
    ("audit_entries", "before"): "old_values",
    ("audit_entries", "after"): "new_values",
    ("treasury_history", "from"): "from_status",
    ("treasury_history", "to"): "to_status",
    ("treasury_history", "by"): "actor",
    ("treasury_ledger", "by"): "actor",
    ("treasury_pauses", "by"): "actor",
}
"""The new name of each column, by table and column; https://www.sqlite.org/lang_keywords.html and Postgres's list in appendix C."""


def upgrade() -> None:
    for (table, column), name in NAMES.items():
        op.alter_column(table, column, new_column_name=name)
    if op.get_bind().dialect.name == "sqlite":
        for table in _tables():
            _rebuild(table, checked=True)
        return
    for (table, column), (old, new) in WIDTHS.items():
        op.alter_column(table, column, existing_type=sa.String(old), type_=sa.String(new))
    for (table, column), values in CHECKS.items():
        op.create_check_constraint(op.f(_name(table, column)), table, _condition(column, values))


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in _tables():
            _rebuild(table, checked=False)
    else:
        for table, column in CHECKS:
            op.drop_constraint(op.f(_name(table, column)), table)
        for (table, column), (old, new) in WIDTHS.items():
            op.alter_column(table, column, existing_type=sa.String(new), type_=sa.String(old))
    for (table, column), name in NAMES.items():
        op.alter_column(table, name, new_column_name=column)


def _tables() -> list[str]:
    return sorted({table for table, _ in (*CHECKS, *WIDTHS)})


def _name(table: str, column: str) -> str:
    return f"ck_{table}_{column}"


def _condition(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def _rebuild(table: str, *, checked: bool) -> None:
    """Copy the table with its rows, indexes and triggers: SQLite can change neither types nor constraints in place."""
    own = sa.text(
        "SELECT name, type, sql FROM sqlite_master WHERE tbl_name = :table AND type IN ('index', 'trigger') AND sql IS NOT NULL"
    ).bindparams(table=table)
    statements = [row.sql for row in op.get_bind().execute(own)]
    # Reflection finds no checks: they are named here, or they would be lost.
    checks = [sa.CheckConstraint("place = 1", name=op.f("ck_deployment_one"))] if table == "deployment" else []
    if checked:
        checks += [
            sa.CheckConstraint(_condition(column, values), name=op.f(_name(table, column)))
            for (owner, column), values in CHECKS.items()
            if owner == table
        ]
    with op.batch_alter_table(table, recreate="always", table_args=tuple(checks)) as batch:
        for (owner, column), (old, new) in WIDTHS.items():
            if owner == table:
                was, becomes = (old, new) if checked else (new, old)
                batch.alter_column(column, existing_type=sa.String(was), type_=sa.String(becomes))
    # Again as they were written: reflection may lose the condition of an index, and it knows no triggers.
    for row in op.get_bind().execute(own).all():
        op.execute(f'DROP {row.type} "{row.name}"')
    for statement in statements:
        op.execute(sa.text(statement.replace(":", r"\:")))
