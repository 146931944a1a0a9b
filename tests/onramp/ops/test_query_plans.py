"""The query plan of every statement on a database with a long past: each costs what is open, not what is done."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
import asyncpg
import orjson
import pytest
import sqlalchemy as sa

from kit.db.database import Database, connect
from kit.db.paging import Position, position_of
from onramp.cli.describe import describe
from onramp.dev.chain.devchain import DevChain
from onramp.dev.local.wallet import dev_wallet
from onramp.ops import state_counts
from onramp.sessions import service as sessions_service
from onramp.webhooks import service as webhooks_service
from tests.support.filled_database import BIG, Past
from tests.support.operators import API, operator_client
from tests.support.payout_service import payout_service
from tests.support.service import Service, Start
from treasury.payouts import service as payouts_service

COUNT = {"postgresql": 40_000, "sqlite": 10_000}
BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
Heard = dict[str, tuple[Any, ...]]
"""Statement -> the parameters that it was run with first."""


class Listener:
    """Records each statement that reaches a driver, with its parameters."""

    def __init__(self) -> None:
        self.heard: Heard = {}

    def __call__(self, statement: Any, parameters: Any) -> None:
        if not isinstance(statement, str) or not re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", statement):
            return
        if any(table in statement for table in BIG):
            self.heard.setdefault(statement, tuple(parameters or ()))


@contextmanager
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    hear = Listener()

    def of_alchemy(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        hear(statement, parameters[0] if many else parameters)

    execute: Any = aiosqlite.Connection._execute

    async def of_sqlite(self: Any, function: Any, *arguments: Any, **more: Any) -> Any:
        if len(arguments) == 2:
            many = getattr(function, "__name__", "") == "executemany"
            hear(arguments[0], next(iter(arguments[1]), ()) if many else arguments[1])
        return await execute(self, function, *arguments, **more)

    fetch: Any = asyncpg.Connection.fetch

    async def of_postgres(self: Any, query: str, *arguments: Any, **more: Any) -> Any:
        hear(query, arguments)
        return await fetch(self, query, *arguments, **more)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", of_sqlite)
    monkeypatch.setattr(asyncpg.Connection, "fetch", of_postgres)
    sa.event.listen(sa.Engine, "before_cursor_execute", of_alchemy)
    try:
        yield hear
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", of_alchemy)


KNOWN: dict[str, str] = {
    "IS NOT NULL UNION SELECT": "a sender counts its wallet's nonces once, when it starts, from the index alone",
}
"""Part of a statement -> why it may cost the past."""


async def sequential(database: Database, heard: Heard, count: int) -> dict[str, str]:
    """Return by statement the problem of its plan: a table with a long past is read completely, or a large part of it."""
    judge = _of_postgres if database.dialect == "postgresql" else _of_sqlite
    return {statement: reason for statement, reason in (await judge(database, heard, count)).items() if reason}


async def _of_postgres(database: Database, heard: Heard, count: int) -> dict[str, str]:
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    conn = await asyncpg.connect(url)
    found = {}
    for statement, parameters in heard.items():
        reads = statement.lstrip().startswith("SELECT") and "FOR UPDATE" not in statement
        options = "ANALYZE, TIMING OFF, FORMAT JSON" if reads else "FORMAT JSON"
        plan = orjson.loads(await conn.fetchval(f"EXPLAIN ({options}) {statement}", *parameters))
        found[statement] = "; ".join(_costly(plan[0]["Plan"], count))
    await conn.close()
    return found


def _costly(node: dict[str, Any], count: int, *, limited: bool = False) -> Iterator[str]:
    """Return the plan's nodes that read a table with a long past sequentially, or more than a hundredth of it by an index."""
    for child in node.get("Plans", ()):
        # The first row that is found will do.
        yield from _costly(child, count, limited=node["Node Type"] == "Limit")
    if node.get("Relation Name") not in BIG:
        return
    rows = node.get("Actual Rows", 0) * node.get("Actual Loops", 1) + node.get("Rows Removed by Filter", 0)
    if (node["Node Type"] == "Seq Scan" and not limited) or rows > count // 100:
        yield f"{node['Node Type']} on {node['Relation Name']}, {rows:.0f} rows"


async def _of_sqlite(database: Database, heard: Heard, count: int) -> dict[str, str]:
    conn = sqlite3.connect(str(database.engine.url.database), isolation_level=None)
    found = {}
    for statement, parameters in heard.items():
        plan = [str(row[3]) for row in conn.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        # By an index, in the order that is asked for and only as far as LIMIT goes, is no reading of it all.
        scans = [
            line
            for line in plan
            if any(re.match(rf"SCAN {table}\b(?! USING (COVERING )?INDEX)", line) for table in BIG)
        ]
        steps = 0

        def count_steps() -> int:
            nonlocal steps
            steps += 1
            return 0

        if statement.lstrip().startswith("SELECT"):
            conn.set_progress_handler(count_steps, 100)
            conn.execute(statement, parameters).fetchall()
            conn.set_progress_handler(None, 0)
        # A page in the order of the ids is called a scan, too; how far LIMIT lets it go was measured.
        is_page = "ORDER BY treasury_ledger.id DESC" in statement and "LIMIT" in statement
        if (scans and not is_page) or steps * 100 > count:
            found[statement] = f"{steps * 100} steps: {'; '.join(plan)}"
    conn.close()
    return found


async def bought(service: Service) -> dict[str, Any]:
    """Run a purchase from its creation to its confirmation."""
    status, made = await service.create("of the test of plans", sourceAmount="1")
    assert status == 201, made
    assert (await service.create("of the test of plans", sourceAmount="1"))[1]["id"] == made["id"]
    fact = service.sandbox.store.get(made["payment"]["stripeSessionId"])
    service.sandbox.walk(fact, "fulfillment_complete", {"destination_amount": "1.00"}, "once")
    async with asyncio.timeout(60):
        while True:
            async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{made['id']}") as answer:
                body: dict[str, Any] = await answer.json()
            if body["status"] == "completed":
                return body
            await asyncio.sleep(0.2)


async def read_by_operators(service: Service, body: dict[str, Any]) -> None:
    """Read what operators and a wallet's owner read."""
    vera = await operator_client(service, "viewer", "vera")
    for path in (
        "/balances", "/plan", "/payouts?limit=50", "/payouts?limit=50&status=final", "/payouts?status=held", "/sweeps", "/audit",
        "/pause", "/alarms", "/ledger?limit=50", "/payouts?reason=screening", f"/payouts?wallet={BUYER}", "/payouts?from=2026-01-01T00:00:00Z",
        "/approvals", "/policy",
    ):  # fmt: skip
        status, page = await vera.get(path)
        assert status in {200, 404}, (path, page)
    views = await operator_client(service, "viewer", "victor", API)
    for path in (
        "/overview", "/purchases", "/purchases?status=attention", "/purchases?status=delivering", "/purchases?status=processing",
        f"/purchases?wallet={BUYER}&limit=20", f"/purchases/{body['id']}", "/events", "/notices", "/nodes",
    ):  # fmt: skip
        status, page = await views.get(path)
        assert status == 200, (path, page)
    for needle in (body["id"], body["delivery"]["txHash"], BUYER, "order-1", "ada@example.com"):
        assert (await views.post("/search", {"query": needle}))[0] == 200
    payout = (await vera.get("/payouts?limit=1"))[1]
    assert (await vera.get(f"/payouts?limit=1&cursor={payout['nextCursor']}"))[0] == 200
    payout_row = payout["data"][0]
    for path in (f"/payouts/{payout_row['id']}", f"/transactions/{payout_row['transactionId']}"):
        assert (await vera.get(path))[0] == 200
    async with service.database.read() as conn:
        for needle in (
            body["id"],
            body["payment"]["stripeSessionId"],
            body["delivery"]["txHash"],
            BUYER,
            BUYER.lower(),
        ):
            found = await sessions_service.find(conn, needle)
            assert body["id"] in {one.id for one in found}, needle
        await describe(conn, found[0])
        page = await sessions_service.newest(conn, 20)
        await sessions_service.newest(conn, 20, before=position_of(page[-1]))
        events = await webhooks_service.newest(conn, 20)
        await webhooks_service.newest(conn, 20, "parked")
        await webhooks_service.newest(conn, 20, before=Position(events[-1].received_at, events[-1].id))
        await sessions_service.newest(conn, 20, before=position_of(page[-1]), wallet=BUYER)
        await sessions_service.newest(conn, 20, before=position_of(page[-1]), reference="order-1")
        await payouts_service.held_for_screening(conn)


async def test_no_statement_reads_a_long_past(
    start: Start, database_url: str, chain: DevChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = connect(database_url)
    count, wallet = COUNT[database.dialect], dev_wallet(tmp_path).address
    await chain.rpc("anvil_setNonce", wallet, hex(count))
    await chain.rpc("anvil_mine", hex(200))
    await Past(database, count, wallet, chain.deployment.musd).fill()
    async with database.read() as conn:
        expected = {"fulfillment_complete": count, "expired": count // 2}
        assert await state_counts.by_payment(conn) == expected
        assert await state_counts.by_delivery(conn) == {"confirmed": count}
        assert await payouts_service.count_by_status(conn) == {"final": count}
    limits = {"WALLET_DAILY_LIMIT": "1000", "WALLET_MONTHLY_LIMIT": "5000"}
    with listening(monkeypatch) as listener:
        async with payout_service(partial(start, url=database_url), database_url, chain, tmp_path, **limits) as (
            service,
            _,
        ):
            body = await bought(service)
            await read_by_operators(service, body)
    heard = listener.heard
    assert len(heard) > 100, sorted(heard)
    wrong = await sequential(database, heard, count)
    unexplained = {
        statement: reason for statement, reason in wrong.items() if not any(part in statement for part in KNOWN)
    }
    await database.close()
    assert not unexplained, "\n\n".join(f"{reason}\n{statement}" for statement, reason in unexplained.items())
    assert all(any(part in statement for statement in wrong) for part in KNOWN), "a reason is not needed any more"
