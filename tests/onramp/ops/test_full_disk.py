"""A full disk: the service stops selling within seconds, pays no one twice, and goes on by itself once there is space."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog

from kit.db.database import connect
from onramp import migrations
from onramp.dev.chain.devchain import DevChain
from tests.support.deployments import UNIT, buy, buyer
from tests.support.health_pace import hurry
from tests.support.own_postgres import OwnPostgres, namespaces_are_missing, on_small_disk
from tests.support.paths import ROOT
from tests.support.payout_service import payout_service
from tests.support.service import Service, Start
from tests.support.waiting import eventually
from tests.support.webhook_events import make_event, post_event, sign

pytestmark = pytest.mark.skipif(
    namespaces_are_missing(), reason="nothing can be mounted here, so no disk can be filled"
)
AWAY = (503, "database_unavailable")
LIMIT = 40.0
"""Seconds for what must happen within fifteen, on a busy machine."""


async def is_ready(service: Service, *, ready: bool) -> bool:
    async with service.http.get(f"{service.api}/ready") as response:
        parts = {part["name"]: part["ok"] for part in (await response.json())["parts"]}
        return (response.status, parts["database"]) == ((200, True) if ready else (503, False))


async def refusals(service: Service) -> set[tuple[int, str]]:
    """Return status and code of a sale and of an event."""
    status, body = await service.create(sourceAmount="1")
    event = make_event(int(time.time() * 1000))
    event_status, answer = await post_event(service, event, sign(event))
    return {(status, body.get("code", "")), (event_status, answer.get("code", ""))}


def pay(service: Service, made: dict[str, Any]) -> None:
    session = service.sandbox.store.get(made["payment"]["stripeSessionId"])
    service.sandbox.walk(session, "fulfillment_complete", {"destination_amount": "5.00"}, "once")


async def is_completed(service: Service, made: dict[str, Any]) -> bool:
    async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{made['id']}") as response:
        return bool((await response.json()).get("status") == "completed")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Stop what a test has started, also if it fails."""
    async with AsyncExitStack() as stack:
        yield stack


async def test_postgres_on_a_full_disk(
    start: Start, chain: DevChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: AsyncExitStack
) -> None:
    hurry(monkeypatch)
    server = OwnPostgres(tmp_path / "disk", disk="96m")
    stack.push_async_callback(server.stop)
    await server.start()
    database = connect(server.url)
    await migrations.upgrade(database)
    await database.close()
    begin = partial(start, url=server.url)
    with structlog.testing.capture_logs() as logs:
        async with payout_service(begin, server.url, chain, tmp_path) as (service, _):
            purchases = [await buy(service, buyer(), "5") for _ in range(3)]
            pay(service, purchases[0])
            await eventually(partial(is_completed, service, purchases[0]))
            del logs[:]
            server.fill()
            # Nobody buys: the service finds out by itself.
            await eventually(partial(is_ready, service, ready=False), within=LIMIT)
            pay(service, purchases[1])
            for _ in range(20):
                # What fits into pages that are allocated already may still be stored.
                assert await refusals(service) <= {AWAY, (201, ""), (200, "")}
            with pytest.raises((OSError, asyncpg.PostgresError)):
                while True:
                    await server.fetchval("SELECT pg_switch_wal()")
            # Postgres ends when it cannot write its log, and cannot start.
            assert await refusals(service) == {AWAY}
            server.empty()
            await eventually(partial(is_ready, service, ready=True), within=LIMIT)
            pay(service, purchases[2])
            for made in purchases:
                await eventually(partial(is_completed, service, made), within=90)
            paid = {made["walletAddress"]: await chain.balance(made["walletAddress"]) for made in purchases}
            assert set(paid.values()) == {5 * UNIT}
    await server.stop()
    lines = Counter(line["event"] for line in logs)
    assert lines["http.database_unavailable"] <= 5, "one line a minute for each kind of error, not one for each request"
    assert not [line for line in logs if line.get("exc_info")], (
        "nothing is wrong with the code, so no line has a traceback"
    )


async def test_sqlite_on_a_full_disk(tmp_path: Path) -> None:
    program = (sys.executable, "-m", "tests.support.full_sqlite_disk", str(tmp_path))
    command = on_small_disk(tmp_path, "8m", program)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    before, full, after = output.decode().splitlines()
    assert (before, after) == ("None", "None")
    assert full in {"[Errno 28] No space left on device", "database or disk is full"}
