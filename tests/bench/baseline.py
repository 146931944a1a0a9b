"""The bare programs that the service is compared with: the framework, the driver, and the one task that is measured."""

import asyncio
import sys
from typing import Any

import aiohttp
import asyncpg
import orjson
import sqlalchemy as sa
import uvloop
from aiohttp import web
from sqlalchemy.ext.asyncio import create_async_engine

SCHEMA = """
CREATE TABLE IF NOT EXISTS bare_events (id text PRIMARY KEY, type text NOT NULL, body text NOT NULL, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS bare_sessions (id text PRIMARY KEY, wallet text NOT NULL, amount text NOT NULL, status text NOT NULL, secret text);
"""


async def pool_of(app: web.Application, dsn: str) -> asyncpg.Pool:
    pool = await asyncpg.create_pool(dsn, min_size=10, max_size=20)
    async with pool.acquire() as conn:
        await conn.execute(SCHEMA)
        await conn.execute(
            "INSERT INTO bare_sessions SELECT 'ons_bare_' || n, '0x', '100', 'initialized', NULL FROM generate_series(0, 9999) AS n "
            "ON CONFLICT DO NOTHING"
        )
        await conn.execute("ANALYZE bare_sessions")
    return pool


def order_form(session_id: str, body: dict[str, str]) -> dict[str, str]:
    """Return the fields that the service sends to Stripe for a new session: most of the cost is Stripe's."""
    return {
        "wallet_addresses[ethereum]": "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
        "lock_wallet_address": "true",
        "destination_currency": "usdc",
        "destination_network": "ethereum",
        "destination_currencies[0]": "usdc",
        "destination_networks[0]": "ethereum",
        "source_amount": body["sourceAmount"],
        "source_currency": "usd",
        "metadata[onramp_session]": session_id,
        "metadata[wallet]": body["walletAddress"],
        "metadata[fee_bps]": "0",
        "metadata[onramp_chain_id]": "31611",
        "metadata[onramp_deployment]": "dep_0123456789abcdef0123456789abcdef",
        "metadata[onramp_hot_wallet]": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    }


async def postgres_app(dsn: str, stripe: str) -> web.Application:
    app = web.Application(client_max_size=2**20)
    pool = await pool_of(app, dsn)
    http = aiohttp.ClientSession()
    number = iter(range(10**9))

    async def intake(request: web.Request) -> web.Response:
        raw = await request.read()
        event = orjson.loads(raw)
        await pool.execute(
            "INSERT INTO bare_events (id, type, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            event["id"],
            event["type"],
            raw.decode(),
        )
        return web.Response(body=b'{"received":true}', content_type="application/json")

    async def read(request: web.Request) -> web.Response:
        row = await pool.fetchrow("SELECT * FROM bare_sessions WHERE id = $1", request.match_info["id"])
        return web.Response(body=orjson.dumps(dict(row)), content_type="application/json")

    async def create(request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        session_id = f"ons_{next(number)}"
        await pool.execute(
            "INSERT INTO bare_sessions VALUES ($1, $2, $3, 'created', NULL)",
            session_id,
            body["walletAddress"],
            body["sourceAmount"],
        )
        headers = {"Authorization": "Bearer sk_test_bench", "Idempotency-Key": session_id}
        async with http.post(
            f"{stripe}/v1/crypto/onramp_sessions", data=order_form(session_id, body), headers=headers
        ) as answer:
            made = orjson.loads(await answer.read())
        await pool.execute(
            "UPDATE bare_sessions SET status = 'initialized', secret = $2 WHERE id = $1", session_id, made["id"]
        )
        return web.Response(
            status=201,
            body=orjson.dumps({"id": session_id, "clientSecret": made["client_secret"]}),
            content_type="application/json",
        )

    app.add_routes(
        [
            web.post("/api/v1/webhooks/stripe", intake),
            web.get("/api/v1/onramp/sessions/{id}", read),
            web.post("/api/v1/onramp/sessions", create),
        ]
    )
    return app


async def sqlite_app(path: str) -> web.Application:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    @sa.event.listens_for(engine.sync_engine, "connect")
    def pragmas(conn: Any, _record: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=15000"):
            conn.execute(f"PRAGMA {pragma}")

    table = sa.Table(
        "bare_events",
        sa.MetaData(),
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("type", sa.String),
        sa.Column("body", sa.String),
    )
    async with engine.begin() as conn:
        await conn.run_sync(table.metadata.create_all)

    async def intake(request: web.Request) -> web.Response:
        raw = await request.read()
        event = orjson.loads(raw)
        async with engine.begin() as conn:
            await conn.execute(sa.insert(table).values(id=event["id"], type=event["type"], body=raw.decode()))
        return web.Response(body=b'{"received":true}', content_type="application/json")

    app = web.Application(client_max_size=2**20)
    app.add_routes([web.post("/api/v1/webhooks/stripe", intake)])
    return app


async def main() -> None:
    kind, port, where, stripe = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    app = await (postgres_app(where, stripe) if kind == "postgresql" else sqlite_app(where))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
