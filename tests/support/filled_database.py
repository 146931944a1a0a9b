"""A database with a long past, filled by SQL in seconds: finished purchases with all their rows."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db import ended_counts
from kit.db.database import Database
from treasury.ledger import totals

BIG: Final = (
    "sessions",
    "webhook_events",
    "treasury_payouts",
    "treasury_transactions",
    "treasury_attempts",
    "treasury_history",
    "treasury_ledger",
    "transfers",
)
"""Tables that grow with every purchase, and are never emptied."""
_COUNTED: Final = ("sessions", "treasury_payouts", "treasury_ledger")
"""Tables with triggers that count; what they would count is inserted in their place, which is faster."""
_ADD_UP: Final = (
    "INSERT INTO ledger_totals (wallet, asset, subject, from_account, to_account, amount) "
    "SELECT wallet, asset, '', from_account, to_account, sum(amount) FROM treasury_ledger GROUP BY 1, 2, 4, 5"
)
_BUYERS: Final = 1_000
LAST_BLOCK: Final = 100
"""The past is in blocks 1 to LAST_BLOCK. What is paid after the block of a balance counts as promised, so a balance must be younger."""


class Past:
    """What was sold before: `count` purchases paid out by `wallet`, each in one of the blocks 1 to LAST_BLOCK, and half as many abandoned."""

    def __init__(self, database: Database, count: int, wallet: str, token: str) -> None:
        self._database = database
        self._count = count
        self._wallet = wallet
        self._token = token
        self._is_postgres = database.dialect == "postgresql"

    async def fill(self, tables: Collection[str] = BIG) -> None:
        """Write the rows of `tables`, and gather statistics for the planner."""
        async with self._transaction() as conn:
            if self._is_postgres:
                await conn.execute(sa.text("SET LOCAL statement_timeout = 0"))
                for table in _COUNTED:
                    await conn.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
            for table, count, row in self._tables():
                if table not in tables:
                    continue
                await self._insert(conn, table, count, row)
            if self._is_postgres:
                for table in _COUNTED:
                    await conn.execute(sa.text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))
                await conn.execute(sa.insert(ended_counts.ended_counts), self._ended())
                if "treasury_ledger" in tables:
                    await conn.execute(sa.text(_ADD_UP))
            elif "treasury_ledger" in tables:
                while await totals.changes(conn) >= totals.FOLD_FROM:
                    await totals.fold(conn)
        if self._is_postgres:
            async with self._database.without_time_limits() as conn:
                await conn.execution_options(isolation_level="AUTOCOMMIT")
                await conn.execute(sa.text("SET statement_timeout = 0"))
                for table in tables:
                    await conn.execute(sa.text(f"VACUUM ANALYZE {table}"))

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction whose statements may take minutes."""
        if not self._is_postgres:
            async with self._database.write() as conn:
                yield conn
            return
        async with self._database.without_time_limits() as conn, conn.begin():
            yield conn

    def _ended(self) -> list[dict[str, Any]]:
        rows = (
            ("sessions", "fulfillment_complete", self._count),
            ("sessions", "expired", self._count // 2),
            ("deliveries", "confirmed", self._count),
            ("payouts", "final", self._count),
        )
        return [{"subject": one[0], "status": one[1], "change": one[2]} for one in rows]

    async def _insert(self, conn: Any, table: str, count: int, row: dict[str, str]) -> None:
        names = ", ".join(f'"{name}"' for name in row)
        series = (
            f"SELECT g FROM generate_series(1, {count}) AS g"
            if self._is_postgres
            else f"WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < {count}) SELECT g FROM s"
        )
        text = f"INSERT INTO {table} ({names}) SELECT {', '.join(row.values())} FROM ({series}) AS series"
        await conn.exec_driver_sql(text)

    def _ago(self, days: int) -> str:
        """Return a time for each row: the newest this number of days ago, the others a minute apart before it."""
        if self._is_postgres:
            return f"now() - interval '{days} days' - g * interval '1 minute'"
        return f"strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-{days} days', '-' || g || ' minutes')"

    def _amount(self, units: int) -> str:
        return str(units) if self._is_postgres else f"printf('%078d', {units})"

    def _buyer(self) -> str:
        digits = f"g % {_BUYERS}"
        return f"'0x' || lpad(({digits})::text, 40, '0')" if self._is_postgres else f"'0x' || printf('%040d', {digits})"

    def _key(self, prefix: str) -> str:
        return f"'{prefix}' || g"

    def _hash(self, prefix: str) -> str:
        """A transaction's hash, without an order, as they are."""
        if self._is_postgres:
            return f"'0x' || md5('{prefix}' || g) || md5(g || '{prefix}')"
        return f"'0x{prefix}' || printf('%0{64 - len(prefix)}x', g)"

    def _session(self, prefix: str, days: int) -> dict[str, str]:
        false = "false" if self._is_postgres else "0"
        return {
            "id": self._key(f"ons_{prefix}"), "version": "5", "wallet_address": self._buyer(), "source_minor": "100",
            "source_currency": "'usd'", "mode": "'payout'", "fee_bps": "50", "locked_address": self._buyer(),
            "destination_currency": "'usdc'", "destination_network": "'ethereum'", "from_block": "1",
            "stripe_session_id": self._key(f"cos_{prefix}"), "livemode": false, "delivered_units": self._amount(1),
            "payment_updated_at": self._ago(days), "delivery_updated_at": self._ago(days), "created_at": self._ago(days),
            "updated_at": self._ago(days), "expires_at": self._ago(days), "asked_at": self._ago(days),
        }  # fmt: skip

    def _tables(self) -> list[tuple[str, int, dict[str, str]]]:
        wallet, token, reference = f"'{self._wallet}'", f"'{self._token}'", self._hash("ef")
        block, block_hash = f"1 + g % {LAST_BLOCK}", "'0x' || substr('" + "b" * 64 + "', 1, 64)"
        complete = self._session("done", 2) | {
            "payment_status": "'fulfillment_complete'", "delivery_status": "'confirmed'", "paid_at": self._ago(2),
            "expected_units": self._amount(1), "received_units": self._amount(1), "tx_hash": self._hash("aa"), "log_index": "0",
            "block_number": block, "block_hash": block_hash, "sender": wallet, "confirmations": "6", "confirmed_at": self._ago(2),
        }  # fmt: skip
        expired = self._session("gone", 2) | {"payment_status": "'expired'", "delivery_status": "'awaiting'"}
        event = {
            "id": self._key("evt_done"), "type": "'crypto.onramp_session.updated'", "stripe_session_id": self._key("cos_done"),
            "session_status": "'fulfillment_complete'", "body_sha256": "'00'", "created_at": self._ago(2),
            "received_at": self._ago(2), "state": "'handled'", "handled_at": self._ago(2), "due_at": self._ago(2),
        }  # fmt: skip
        payout = {
            "id": self._key("pay_done"), "session_id": self._key("ons_done"), "stripe_session_id": self._key("cos_done"),
            "wallet": wallet, "asset": "'MUSD'", "token": token, "to_address": self._buyer(), "amount": self._amount(1),
            "reference": reference, "status": "'final'", "transaction_id": self._key("txn_done"), "tx_hash": self._hash("aa"),
            "block_number": block, "created_at": self._ago(2), "updated_at": self._ago(2),
        }  # fmt: skip
        transaction = {
            "id": self._key("txn_done"), "chain_id": "31611", "wallet": wallet, "nonce": "g - 1", "status": "'final'",
            "operation_id": self._key("pay_done"), "token": token, "to_address": self._buyer(), "amount": self._amount(1),
            "reference": reference, "gas_limit": "60000", "gas_posted": "true" if self._is_postgres else "1", "adopted": "false" if self._is_postgres else "0",
            "block_number": block, "block_hash": block_hash, "created_at": self._ago(2), "updated_at": self._ago(2),
        }  # fmt: skip
        attempt = {
            "id": self._key("att_done"), "transaction_id": self._key("txn_done"), "hash": self._hash("aa"),
            "signed_at": self._ago(2), "broadcasts": "1",
        }  # fmt: skip
        transfer = {
            "id": "'31611:' || g", "chain_id": "31611", "token": token, "sender": wallet, "recipient": self._buyer(),
            "units": self._amount(1), "tx_hash": self._hash("aa"), "log_index": "0", "block_number": block,
            "block_hash": block_hash, "session_id": self._key("ons_done"), "seen_at": self._ago(2),
        }  # fmt: skip
        line = {"subject_id": self._key("pay_done"), "at": self._ago(2), "to_status": "'final'", "actor": "'treasury'"}
        line = {name.strip('"'): value for name, value in line.items()}
        return [
            ("sessions", self._count, complete),
            ("sessions", self._count // 2, expired),
            ("webhook_events", self._count, event),
            ("treasury_payouts", self._count, payout),
            ("treasury_transactions", self._count, transaction),
            ("treasury_attempts", self._count, attempt),
            ("treasury_history", self._count, line),
            ("transfers", self._count, transfer),
            *self._postings(wallet, block),
        ]

    def _postings(self, wallet: str, block: str) -> list[tuple[str, int, dict[str, str]]]:
        def posting(subject: str, asset: str, kind: str, source: str, target: str, sequence: int, block: str) -> Any:
            return {
                "wallet": wallet, "asset": f"'{asset}'", "kind": f"'{kind}'", "subject": subject, "sequence": str(sequence),
                "from_account": f"'{source}'", "to_account": f"'{target}'", "amount": self._amount(1), "block_number": block,
                "actor": "'treasury'", "note": "''", "at": self._ago(2),
            }  # fmt: skip

        payout, none = self._key("pay_done"), "NULL"
        opening = posting(wallet, "MUSD", "opening", "external_in", "available", 0, "1")
        gas = posting(wallet, "BTC", "opening", "external_in", "available", 0, "1")
        total = self._amount(self._count)
        return [
            ("treasury_ledger", 1, opening | {"amount": total}),
            ("treasury_ledger", 1, gas | {"amount": total}),
            ("treasury_ledger", self._count, posting(payout, "MUSD", "hold", "available", "held", 0, none)),
            ("treasury_ledger", self._count, posting(payout, "MUSD", "sign", "held", "in_flight", 1, none)),
            ("treasury_ledger", self._count, posting(payout, "MUSD", "paid", "in_flight", "paid_out", 2, block)),
            ("treasury_ledger", self._count, posting(self._key("txn_done"), "BTC", "gas", "available", "gas", 0, block)),
            ("treasury_ledger", self._count, posting(self._key("ons_done"), "USDC", "receivable", "sold", "receivable", 0, none)),
            ("treasury_ledger", self._count, posting(self._key("ons_done"), "USDC", "settle_usdc", "receivable", "settled", 1, none)),
        ]  # fmt: skip
