"""The stream of changes: within a second of the commit, nothing missed, and it ends with the caller's key."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import pytest
import sqlalchemy as sa

from kit.alarms import service as alarms_service
from kit.db.database import Database
from onramp.auth.api_keys.table import api_keys
from onramp.live_changes.table import live_changes, live_watchers
from tests.support.api_keys import create_key
from tests.support.service import Service, Start
from tests.support.service_payouts import owe_payout
from treasury.core.facts import OperationFact
from treasury.payouts import service as payouts_service

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)


@pytest.fixture
async def service(start: Start, database_url: str) -> Service:
    """Serve from both databases."""
    return await start(url=database_url)


class Stream:
    """An open stream, read event by event."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._lines = response.content

    async def next(self) -> tuple[str, str]:
        """Return kind and id of the next change. Raises EOFError once the stream has ended."""
        async with asyncio.timeout(10):
            while line := await self._lines.readline():
                if line.startswith(b"data: "):
                    data = json.loads(line[6:])
                    return data["kind"], data["id"]
        raise EOFError


@asynccontextmanager
async def stream_of(service: Service, secret: str) -> AsyncIterator[Stream]:
    headers = {"Authorization": f"Bearer {secret}"}
    async with service.http.get(f"{service.api}/api/v1/changes", headers=headers) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        assert "no-store" in response.headers["Cache-Control"]
        yield Stream(response)


async def recorded(database: Database) -> int:
    async with database.read() as conn:
        return int(await conn.scalar(sa.select(sa.func.count()).select_from(live_changes)) or 0)


async def test_a_change_is_an_event_within_a_second_and_is_recorded_only_for_a_stream(
    service: Service,
) -> None:
    _, secret = await create_key(service.database, "viewer", "vera")
    await owe_payout(service)
    assert await recorded(service.database) == 0
    async with stream_of(service, secret) as stream, stream_of(service, secret) as other:
        began = time.monotonic()
        async with service.database.write() as conn:
            await alarms_service.raise_in(conn, "treasury.payout_insufficient", "pay_1", NOW)
        kind, alarm_id = await stream.next()
        assert time.monotonic() - began < 1
        assert (kind, alarm_id[:4]) == ("alarm", "alm_")
        assert await other.next() == (kind, alarm_id)
        _, created = await service.create(key="0123456789abcdef")
        assert await stream.next() == ("session", created["id"])


async def test_a_stream_ends_soon_after_its_key_is_revoked(service: Service) -> None:
    key_id, secret = await create_key(service.database, "viewer", "vera")
    async with stream_of(service, secret) as stream:
        async with service.database.write() as conn:
            await conn.execute(sa.update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=datetime.now(UTC)))
        assert await stream.next() == ("key", key_id)
        began = time.monotonic()
        with pytest.raises(EOFError):
            while True:
                await stream.next()
        assert time.monotonic() - began < 5


async def test_callers_without_the_role_get_no_stream(service: Service) -> None:
    _, secret = await create_key(service.database, "dapp", "shop")
    for headers, expected in (({}, 401), ({"Authorization": f"Bearer {secret}"}, 403)):
        async with service.http.get(f"{service.api}/api/v1/changes", headers=headers) as response:
            assert response.status == expected
    async with service.database.read() as conn:
        assert (await conn.execute(sa.select(live_watchers))).first() is None


async def test_a_change_of_what_no_screen_shows_is_no_event(service: Service) -> None:
    _, secret = await create_key(service.database, "viewer", "vera")
    payout_id = await owe_payout(service)
    async with stream_of(service, secret) as stream:
        async with service.database.write() as conn:
            await conn.execute(sa.update(api_keys).values(last_used_at=NOW))
        await hold_for_approval(service, payout_id)
        assert await stream.next() == ("payout", payout_id)
        assert await recorded(service.database) == 1


async def hold_for_approval(service: Service, payout_id: str) -> None:
    async with service.database.write() as conn:
        await payouts_service.move(conn, payout_id, OperationFact.APPROVAL_REQUIRED, now=NOW)
