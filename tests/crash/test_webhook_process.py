"""Real processes that send webhooks: one is killed between commit and send, and the clocks of two others differ by five minutes."""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from kit.crypto.keyring import KeyRing
from kit.db.database import Database, connect
from kit.db.types import db_now
from onramp.bootstrap.server import start_app
from onramp.config.fields import DEVELOPMENT_KEY
from onramp.dev.chain.anvil import free_port
from onramp.hooks import service as hooks_service
from onramp.hooks.table import deliveries, endpoints, messages
from tests.support.command_line import ForkedProcess
from tests.support.operators import make_key
from tests.support.waiting import eventually

pytestmark = pytest.mark.starts_first

IN_FLIGHT = 4
SECONDS = 60


@dataclass
class Receiver:
    """Stores each request, and answers once `is_open` is set."""

    bodies: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    headers: list[dict[str, str]] = field(default_factory=list)
    is_open: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies[request.headers["webhook-id"]].append(await request.read())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        await self.is_open.wait()
        return web.Response()


@asynccontextmanager
async def _worker(url: str, home: Path, offset: int) -> AsyncIterator[ForkedProcess]:
    log = home / f"work{offset}.log"
    environment = {
        "PATH": os.environ["PATH"], "DATABASE_URL": url, "STRIPE_SECRET_KEY": "sk_test_api",
        "STRIPE_WEBHOOK_SECRETS": "whsec_x", "MEZO_RPC_URLS": "http://127.0.0.1:9", "CHAIN_AGREEMENT": "1",
        "SETTLEMENT_ADDRESS": "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
        "HOT_WALLET_ADDRESS": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    }  # fmt: skip
    process = ForkedProcess("tests.crash.webhooks", [str(offset)], environment, stdout=log, stderr=log, cwd=home)
    try:
        yield process
    finally:
        process.kill()
        await process.ended()


async def _commit(database: Database, count: int) -> None:
    """Make changes that are events; each is a transaction of its own."""
    for _ in range(count):
        await make_key(database, "viewer", "ada")


async def _rows(database: Database) -> list[Any]:
    query = sa.select(messages.c.id, deliveries.c.status).join(deliveries, deliveries.c.message_id == messages.c.id)
    async with database.read() as conn:
        return list((await conn.execute(query)).fetchall())


async def test_nothing_is_lost_between_commit_and_send_and_what_is_repeated_has_the_same_id(
    postgres_url: str, tmp_path: Path
) -> None:
    receiver, port, database = Receiver(), free_port(), connect(postgres_url)
    app = web.Application()
    app.router.add_post("/", receiver.handle)
    runner, _ = await start_app(app, "127.0.0.1", port)
    async with database.write() as conn:
        _, secret = await hooks_service.create(
            conn, KeyRing([DEVELOPMENT_KEY], "onramp"), endpoint_id="whk_shop", url=f"http://127.0.0.1:{port}/",
            events=["key.created"], ed25519=False, by="test", now=datetime.now(UTC),
        )  # fmt: skip
    await _commit(database, 12)
    async with _worker(postgres_url, tmp_path, 0) as killed:
        await eventually(lambda: len(receiver.headers) == IN_FLIGHT, within=SECONDS)
        killed.kill()
    assert {row.status for row in await _rows(database)} == {"pending"}, "sent or not, nothing was recorded"
    assert len(await _rows(database)) == 12
    await _commit(database, 3)  # no process plans these
    async with database.write() as conn:
        await conn.execute(sa.update(endpoints).values(lease_until=db_now(-1)))  # in place of waiting for its end
    receiver.is_open.set()
    async with _worker(postgres_url, tmp_path, 150), _worker(postgres_url, tmp_path, -150):

        async def all_delivered(count: int) -> bool:
            return [row.status for row in await _rows(database)] == ["delivered"] * count

        await eventually(lambda: all_delivered(15), within=SECONDS)
        await _commit(database, 10)
        await eventually(lambda: all_delivered(25), within=SECONDS)
    assert receiver.bodies.keys() == {row.id for row in await _rows(database)}
    assert all(len(set(bodies)) == 1 for bodies in receiver.bodies.values()), "a copy has the same bytes"
    assert sorted(len(bodies) for bodies in receiver.bodies.values()) == [1] * 21 + [2] * IN_FLIGHT
    for headers in receiver.headers:
        Webhook(secret).verify(receiver.bodies[headers["webhook-id"]][0], headers)
    await runner.cleanup()
    await database.close()
