"""Measure outgoing webhooks: what they cost a purchase, how fast they are sent, and how soon after a commit."""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import psutil
import sqlalchemy as sa
from aiohttp import web

from kit.clock import SystemClock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database, connect
from kit.heartbeats.writer import HeartbeatWriter
from kit.ids import RandomIds
from kit.outbox.table import changes
from onramp.bootstrap.server import start_app
from onramp.config.fields import DEVELOPMENT_KEY
from onramp.dev.chain.anvil import free_port
from onramp.hooks import messages as messages_service
from onramp.hooks import service as hooks_service
from onramp.hooks.event_types import EventType
from onramp.hooks.signing import Secrets, new_secret, signed_headers
from onramp.hooks.table import deliveries
from onramp.sessions.table import sessions
from tests.bench.http_requests import webhook
from tests.bench.load import Result

Process = Callable[[list[str], int, dict[str, str]], AbstractAsyncContextManager[psutil.Process]]
Environment = Callable[[int], dict[str, str]]
Round = Callable[[], Awaitable[Result]]
Compare = Callable[[str, str, Round, Round, int], Awaitable[tuple[str, ...]]]
PURCHASES: Final = 300
"""How many purchases a round takes in and applies."""
MESSAGES: Final = 10_000
"""How many messages a round sends."""
SHOP: Final = ("session.processing", "session.completed", "session.attention")
"""What a shop subscribes to: one message for each applied purchase."""
IN_FLIGHT: Final = 16
ENDPOINTS: Final = 4
"""At four requests each, as many are in flight as of the bare client."""
SAMPLES: Final = 200
ABSENT: Final = ("reconcile", "deliveries", "treasury", "audit", "janitor")
"""The workers that are not measured, for which heartbeats are written: after two minutes without them nothing would be sold."""
RING: Final = KeyRing([DEVELOPMENT_KEY], "onramp")


async def rows(
    url: str, stripe: str, environment: Environment, process: Process, compare: Compare
) -> list[tuple[str, ...]]:
    """Return the rows of the table; `environment` makes the settings of a process that listens on a port, on the database at `url`."""
    database = connect(url)
    try:
        async with AsyncExitStack() as stack:
            receiver = free_port()
            await stack.enter_async_context(process(["-m", "tests.bench.hook_receiver", str(receiver)], receiver, {}))
            beats = HeartbeatWriter(database, "bench", lambda: dict.fromkeys(ABSENT, 0.0), SystemClock())
            stack.push_async_callback(beats.stop)
            beats.start()
            api, intake = await _started(stack, process, environment, ["serve", "--no-workers"])
            await _started(stack, process, environment, ["work", "--only", "inbox"])
            await _started(stack, process, environment, ["work", "--only", "outbox,webhooks"])
            purchases = _Purchases(database, api, intake, stripe, receiver)
            return [
                await compare(
                    "intake and apply with two endpoints subscribed, against none", ">= 0.9x",
                    purchases.subscribed, purchases.alone, 3,
                ),
                await compare(
                    "messages per second to a fast local receiver, against a bare aiohttp client with 16 in flight", ">= 0.5x",
                    lambda: _send(database, receiver), lambda: _send_bare(receiver), 1,
                ),
                await _latency(database),
            ]  # fmt: skip
    finally:
        await database.close()


async def _started(
    stack: AsyncExitStack, process: Process, environment: Environment, command: list[str]
) -> tuple[str, int]:
    port = free_port()
    variables = environment(port) | {"METRICS_PORT": str(port)}
    await stack.enter_async_context(process(["-m", "onramp", *command], port, variables))
    return f"http://127.0.0.1:{port}", port


class _Purchases:
    """Takes in webhooks of Stripe and applies what Stripe says, with and without endpoints that want to know."""

    def __init__(self, database: Database, api: str, port: int, stripe: str, receiver: int) -> None:
        self._database, self._api, self._stripe, self._receiver = database, api, stripe, receiver
        self._port = port

    async def subscribed(self) -> Result:
        """Measure with two shops' endpoints."""
        for _ in range(2):
            await _create_endpoint(self._database, self._receiver, SHOP)
        await asyncio.sleep(2.5)  # the worker looks for endpoints every two seconds while there are none
        result = await self._measure()
        await _wait_until_sent(self._database)
        await _delete_endpoints(self._database)
        return result

    async def alone(self) -> Result:
        """Measure without endpoints."""
        return await self._measure()

    async def _measure(self) -> Result:
        async with aiohttp.ClientSession() as http:
            stripe_ids = await _each(range(PURCHASES), lambda _: self._create(http))
            await _each(stripe_ids, lambda stripe_id: self._advance(http, stripe_id))
            await asyncio.sleep(1.0)  # so that the messages about these creations are planned
            await _wait_until_sent(self._database)
            headers_and_bodies = [_event(stripe_id) for stripe_id in stripe_ids]
            result, began = Result(), time.perf_counter()

            async def post(item: tuple[dict[str, str], bytes]) -> None:
                async with http.post(f"{self._api}/api/v1/webhooks/stripe", data=item[1], headers=item[0]) as answer:
                    result.statuses[answer.status] += 1

            await _each(headers_and_bodies, post)
            await self._wait_until_applied(stripe_ids)
            result.answers, result.seconds = PURCHASES, time.perf_counter() - began
            return result

    async def _create(self, http: aiohttp.ClientSession) -> str:
        body = {
            "walletAddress": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955",
            "sourceAmount": "1",
            "sourceCurrency": "usd",
        }
        async with http.post(f"{self._api}/api/v1/onramp/sessions", json=body) as answer:
            stripe_id: str = (await answer.json())["payment"]["stripeSessionId"]
            return stripe_id

    async def _advance(self, http: aiohttp.ClientSession, stripe_id: str) -> None:
        url = f"{self._stripe}/sandbox/onramp_sessions/{stripe_id}/advance"
        async with http.post(url, json={"status": "fulfillment_processing", "events": "none"}) as answer:
            assert answer.status == 200, await answer.text()

    async def _wait_until_applied(self, stripe_ids: Sequence[str]) -> None:
        query = sa.select(sa.func.count()).where(
            sessions.c.stripe_session_id.in_(stripe_ids), sessions.c.payment_status == "fulfillment_processing"
        )
        async with asyncio.timeout(120):
            while True:
                async with self._database.read() as conn:
                    if (await conn.execute(query)).scalar_one() == len(stripe_ids):
                        return
                await asyncio.sleep(0.02)


def _event(stripe_id: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a signed webhook of Stripe about a session."""
    head, _, body = webhook(stripe_id).partition(b"\r\n\r\n")
    lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:]]
    return {name: value for name, _, value in lines if name in {"Content-Type", "Stripe-Signature"}}, body


async def _each(items: Any, work: Callable[[Any], Awaitable[Any]]) -> list[Any]:
    """Do the work for every item, IN_FLIGHT at a time; return the results in order."""
    limit = asyncio.Semaphore(IN_FLIGHT)

    async def one(item: Any) -> Any:
        async with limit:
            return await work(item)

    return await asyncio.gather(*(one(item) for item in items))


async def _create_endpoint(database: Database, port: int, events: Sequence[str] = ("*",)) -> str:
    endpoint_id = RandomIds().new("whk_")
    async with database.write() as conn:
        await hooks_service.create(
            conn, RING, endpoint_id=endpoint_id, url=f"http://127.0.0.1:{port}/", events=list(events), ed25519=False,
            by="bench", now=datetime.now(UTC),
        )  # fmt: skip
    return endpoint_id


async def _delete_endpoints(database: Database) -> None:
    async with database.write() as conn:
        for endpoint in await hooks_service.newest(conn, RING):
            await hooks_service.delete(conn, RING, endpoint.id, by="bench", now=datetime.now(UTC))
        await conn.execute(sa.delete(deliveries))


async def _wait_until_sent(database: Database) -> None:
    """Wait until every change is planned and every delivery has ended."""
    pending = sa.exists().where(deliveries.c.status == "pending")
    query = sa.select(sa.literal(1)).where(sa.or_(pending, sa.exists(sa.select(changes.c.id))))
    async with asyncio.timeout(120):
        while True:
            async with database.read() as conn:
                if (await conn.execute(query)).first() is None:
                    return
            await asyncio.sleep(0.03)


_DATA: Final = {"id": "ons_bench", "status": "completed", "padding": "x" * 900}
"""About as long as a session."""


async def _send(database: Database, port: int) -> Result:
    """Send MESSAGES to ENDPOINTS endpoints by the worker; measure from its first attempt until all are stored as delivered."""
    ids = [await _create_endpoint(database, port) for _ in range(ENDPOINTS)]
    now = datetime.now(UTC)
    planned = [
        (messages_service.render(EventType.SESSION_UPDATED, "ons_bench", now, _DATA), [ids[number % ENDPOINTS]])
        for number in range(MESSAGES)
    ]
    await asyncio.sleep(2.5)
    async with database.write() as conn:
        await messages_service.store(conn, planned)
    await _wait_until_sent(database)
    ended = datetime.now(UTC)
    async with database.read() as conn:
        rows = (await conn.execute(sa.select(deliveries.c.status, deliveries.c.attempts))).all()
    assert {row.status for row in rows} == {"delivered"}
    began = min(datetime.fromisoformat(row.attempts[0]["at"]) for row in rows)
    await _delete_endpoints(database)
    return Result(MESSAGES, (ended - began).total_seconds(), Counter({200: MESSAGES}))


async def _send_bare(port: int) -> Result:
    """Post as many signed messages with a bare aiohttp client, IN_FLIGHT at a time."""
    secrets = Secrets((new_secret(),))
    message = messages_service.render(EventType.SESSION_UPDATED, "ons_bench", datetime.now(UTC), _DATA)
    body = message.body.encode()
    began, statuses = time.perf_counter(), Counter[int]()
    left = iter(range(MESSAGES))
    async with aiohttp.ClientSession() as http:

        async def post_all() -> None:
            for _ in left:
                headers = signed_headers(secrets, message.id, datetime.now(UTC), body)
                async with http.post(f"http://127.0.0.1:{port}/", data=body, headers=headers) as answer:
                    await answer.read()
                    statuses[answer.status] += 1

        await asyncio.gather(*(post_all() for _ in range(IN_FLIGHT)))
    return Result(MESSAGES, time.perf_counter() - began, statuses)


async def _latency(database: Database) -> tuple[str, ...]:
    """Measure the time from the commit of a change of a session to its message on the wire, with an idle queue and workers in another process."""
    arrivals: dict[int, float] = {}

    async def hook(request: web.Request) -> web.Response:
        arrivals.setdefault((await request.json())["data"]["version"], time.perf_counter())
        return web.Response()

    app, port = web.Application(), free_port()
    app.router.add_post("/", hook)
    runner, _ = await start_app(app, "127.0.0.1", port)
    await _create_endpoint(database, port, ["session.updated"])
    await asyncio.sleep(2.5)
    spent = []
    async with database.read() as conn:
        session_id, version = (
            await conn.execute(
                sa.select(sessions.c.id, sessions.c.version)
                .where(sessions.c.payment_status == "fulfillment_processing")
                .limit(1)
            )
        ).one()
    for number in range(version + 1, version + SAMPLES + 1):
        await asyncio.sleep(random.uniform(0.05, 0.25))
        async with database.write() as conn:
            await conn.execute(sa.update(sessions).where(sessions.c.id == session_id).values(version=number))
        committed = time.perf_counter()
        async with asyncio.timeout(30):
            while number not in arrivals:
                await asyncio.sleep(0.002)
        spent.append(arrivals[number] - committed)
    await _delete_endpoints(database)
    await runner.cleanup()
    spent.sort()
    p99 = spent[int(len(spent) * 0.99)]
    name = f"commit to message on the wire, p99 of {SAMPLES}, idle queue (p50 {statistics.median(spent) * 1000:.0f} ms)"
    return name, f"{p99:.3f} s", "", "", "<= 1 s"
