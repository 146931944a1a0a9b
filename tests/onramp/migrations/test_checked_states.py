"""Revision 0023 on a database with rows: nothing is lost, every state is checked, triggers and indexes work as before."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.dialects.postgresql.base import PGIdentifierPreparer
from sqlalchemy.dialects.sqlite.base import SQLiteIdentifierPreparer
from sqlalchemy.exc import IntegrityError

from kit.db import ended_counts as counts
from kit.db.database import Database, metadata
from kit.db.types import Uint256, UtcDateTime
from onramp import migrations

NOW = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)
RENAMED = {"before": "old_values", "after": "new_values", "from": "from_status", "to": "to_status", "by": "actor"}
CHOSEN = {
    "payment_status": "fulfillment_complete", "delivery_status": "confirmed", "mode": "payout", "state": "pending", "status": "approved",
    "role": "viewer", "kind": "sweep", "from_account": "available", "to_account": "held", "place": 1,
}  # fmt: skip
STATUS_OF = {
    "treasury_payouts": "final",
    "treasury_policies": "active",
    "treasury_pauses": "paused",
    "treasury_answers": "asked",
    "treasury_usdc_settlements": "settled",
}
STATE_OF = {"session_searches": "open"}


def _run(database: Database, change: Any) -> Any:
    async def run() -> None:
        async with database.engine.connect() as conn:
            if database.dialect == "sqlite":
                await conn.exec_driver_sql("PRAGMA foreign_keys = OFF")
                await conn.rollback()
            async with conn.begin():
                await conn.run_sync(change)

    return run()


async def _to(database: Database, revision: str, *, up: bool = False) -> None:
    def change(conn: sa.Connection) -> None:
        made = migrations.config()
        made.attributes["connection"] = conn
        (command.upgrade if up else command.downgrade)(made, revision)

    await _run(database, change)


def _value(table: str, column: sa.Column[Any]) -> Any:
    """Return a value that the column may have, the same for every table; ids tie the tables together."""
    if column.name == "status" and table in STATUS_OF:
        return STATUS_OF[table]
    if column.name == "state" and table in STATE_OF:
        return STATE_OF[table]
    if column.name in CHOSEN:
        return CHOSEN[column.name]
    kind = column.type
    if isinstance(kind, sa.JSON):
        return {"amount": "1"}
    if isinstance(kind, sa.Boolean):
        return True
    if isinstance(kind, sa.Integer):
        return 1
    if isinstance(kind, Uint256):
        return 10**30
    if isinstance(kind, sa.LargeBinary):
        return b"\x02\x00"
    if isinstance(kind, UtcDateTime):
        return NOW
    length = getattr(kind, "length", None) or 40
    return "x" * min(length, 40)


LATER = {
    "treasury_batch_payments",
    "treasury_restores",
    "recoveries",
    "recovery_steps",
    "treasury_leaders.pipeline_depth",
    "sessions.reference",
    "sessions.return_url",
    "sessions.locale",
    "ledger_totals",
    "alarms",
    "notices",
    "changes",
    "change_consumers",
    "webhook_endpoints",
    "webhook_messages",
    "webhook_deliveries",
    "buyer_mails",
    "session_traces",
    "console_sessions",
    "oidc_identities",
    "oidc_logins",
    "live_changes",
    "live_watchers",
    "treasury_transactions.gas_posted",
    "passkeys",
    "passkey_challenges",
    "plan_signatures",
}
"""Tables and columns that a revision after 0023 adds."""
LATER_STATES = {
    ("console_sessions", "role"),
    ("notices", "status"),
    ("webhook_endpoints", "status"),
    ("webhook_deliveries", "status"),
    ("buyer_mails", "state"),
    ("buyer_mails", "status"),
}
"""Columns of such tables that hold a state; each has its check from the start."""
TABLES = [table for table in metadata.sorted_tables if table.name not in LATER]


def _columns(table: sa.Table) -> list[sa.Column[Any]]:
    return [column for column in table.columns if f"{table.name}.{column.name}" not in LATER]


async def _rows(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Read every table of the metadata by the columns that the database has, under their new names."""
    found: dict[str, list[dict[str, Any]]] = {}
    async with database.read() as conn:
        for table in TABLES:
            result = await conn.execute(sa.text(f'SELECT * FROM "{table.name}"'))
            found[table.name] = [
                {RENAMED.get(name, name) if (table.name, name) in OLD else name: value for name, value in row.items()}
                for row in result.mappings()
            ]
    return found


OLD = {
    ("audit_entries", "before"), ("audit_entries", "after"), ("treasury_history", "from"), ("treasury_history", "to"),
    ("treasury_history", "by"), ("treasury_ledger", "by"), ("treasury_pauses", "by"),
}  # fmt: skip
NEW_OF = {(table, RENAMED[name]): name for table, name in OLD}


@pytest.fixture
async def old(database: Database) -> AsyncIterator[Database]:
    """Yield a database at revision 0022 with a row in each table that a purchase, a sweep or an operator writes."""
    await _to(database, "0022")
    async with database.write() as conn:
        for table in TABLES:
            if table.name in {"ended_counts", "schema_compatibility", "deployment"}:
                continue
            columns = [NEW_OF.get((table.name, column.name), column.name) for column in _columns(table)]
            typed = [sa.column(name, column.type) for name, column in zip(columns, _columns(table), strict=True)]
            values = {name: _value(table.name, column) for name, column in zip(columns, _columns(table), strict=True)}
            await conn.execute(sa.insert(sa.table(table.name, *typed)).values(values))
    yield database


async def _objects(database: Database) -> set[tuple[str, str]]:
    """List indexes and triggers as the database itself writes them."""
    async with database.read() as conn:
        if database.dialect == "sqlite":
            query = "SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
        else:
            query = (
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL "
                "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
            )
        return {(row[0], row[1]) for row in await conn.execute(sa.text(query))}


async def test_the_upgrade_keeps_every_row_index_and_trigger(old: Database) -> None:
    rows, objects = await _rows(old), await _objects(old)
    await _to(old, "0023", up=True)
    assert await _rows(old) == rows
    assert sum(map(len, rows.values())) > 25
    assert {name for name, _ in await _objects(old)} == {name for name, _ in objects}
    assert await _objects(old) == objects


async def test_it_can_be_taken_back(old: Database) -> None:
    rows, objects = await _rows(old), await _objects(old)
    assert await migrations.upgrade(old) == ("0022", migrations.newest())
    await _to(old, "0022")
    assert (await _rows(old), await _objects(old)) == (rows, objects)


CHECKED = sorted(
    (table.name, constraint.name.removeprefix(f"ck_{table.name}_"))
    for table in TABLES
    for constraint in table.constraints
    if isinstance(constraint, sa.CheckConstraint)
    and isinstance(constraint.name, str)
    and " IN (" in str(constraint.sqltext)
)


async def test_a_state_that_does_not_exist_is_refused(old: Database) -> None:
    await migrations.upgrade(old)
    for table, column in CHECKED:
        with pytest.raises(IntegrityError, match=f"ck_{table}_{column}"):
            async with old.write() as conn:
                await conn.execute(sa.text(f"UPDATE {table} SET {column} = 'wrong'"))


def test_every_column_that_holds_a_state_is_checked() -> None:
    # History and counters repeat states of other tables; the status that an event reports is a hint in Stripe's vocabulary.
    copies = {"treasury_history", "ended_counts"}
    states = {
        (table.name, column.name)
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name in {"status", "state", "role", "payment_status", "delivery_status"} and table.name not in copies
    }
    assert states - LATER_STATES <= set(CHECKED)
    assert len(CHECKED) >= 15


async def test_ended_rows_are_counted_and_the_ledger_only_grows_afterwards(old: Database) -> None:
    await migrations.upgrade(old)

    async def ended() -> dict[str, int]:
        async with old.read() as conn:
            query = sa.select(counts.ended_counts.c.subject, sa.func.sum(counts.ended_counts.c.change)).group_by(
                "subject"
            )
            return {row[0]: int(row[1]) for row in await conn.execute(query)}

    before = await ended()
    async with old.write() as conn:
        await conn.execute(sa.text("UPDATE treasury_payouts SET status = 'held'"))
    assert (await ended())["payouts"] == before["payouts"] - 1
    for table in ("treasury_ledger", "audit_entries"):
        with pytest.raises(sa.exc.DBAPIError):
            async with old.write() as conn:
                await conn.execute(sa.text(f"DELETE FROM {table}"))


async def test_a_row_that_refers_to_nothing_is_refused_or_stops_the_migration(old: Database) -> None:
    def change(conn: sa.Connection) -> None:
        conn.execute(sa.text("UPDATE transfers SET session_id = 'nobody'"))

    if old.dialect == "postgresql":
        with pytest.raises(IntegrityError):  # it checks each statement
            await _run(old, change)
        return
    await _run(old, change)
    with pytest.raises(
        migrations.MigrationError, match=r"rows of transfers that refer to nothing\. Nothing was changed"
    ):
        await migrations.upgrade(old)
    assert await migrations.current(old) == "0022"


def test_no_column_is_a_reserved_word() -> None:
    reserved = SQLiteIdentifierPreparer.reserved_words | PGIdentifierPreparer.reserved_words
    assert [
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name in reserved
    ] == []


def test_an_id_of_one_kind_has_one_width() -> None:
    widths: dict[str, set[int]] = {}
    kinds = {
        "sessions.id": "session_id",
        "session_searches.id": "session_id",
        "api_keys.id": "key_id",
        "deployment.id": "deployment_id",
        "audit_links.key_id": "data_key_id",
        "passkeys.key_id": "data_key_id",
        "plan_signatures.key_id": "data_key_id",
    }
    for table in metadata.sorted_tables:
        for column in table.columns:
            kind = kinds.get(f"{table.name}.{column.name}", column.name)
            if kind.endswith(("_id", "_hash", "person")) and isinstance(column.type, sa.String):
                kind = "person" if kind.endswith("person") else kind
                widths.setdefault(kind, set()).add(column.type.length or 0)
    # Hashes of the chain are 0x and 64 digits; request ids of a client are as long as it makes them.
    mixed = {kind: found for kind, found in widths.items() if len(found) > 1}
    assert mixed == {}
