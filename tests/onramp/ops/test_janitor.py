"""The janitor: no task stops another, many rows are deleted in small transactions, and counts follow every change."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from kit.clock import SystemClock
from kit.db import ended_counts
from kit.db.database import Database, connect
from kit.worker import WorkerContext, WorkerMetrics
from onramp.ops import state_counts
from onramp.ops.janitor import Janitor, StateMetrics
from onramp.screening.sanctions_list import Screening, ScreeningMetrics
from onramp.sessions.contacts import contacts
from onramp.sessions.table import sessions
from tests.support.filled_database import Past

WALLET, TOKEN = "0x" + "1" * 40, "0x" + "2" * 40
COUNT = 2_000


def janitor_of(database: Database, registry: CollectorRegistry) -> Janitor:
    nobody = Screening("", SystemClock(), ScreeningMetrics(registry))
    context = WorkerContext(database, SystemClock(), WorkerMetrics(registry, "onramp"), "janitor")
    return Janitor(context, StateMetrics(registry), nobody, timedelta(days=1))


async def remembered(database: Database) -> int:
    async with database.read() as conn:
        query = sa.select(sa.func.count()).where(sessions.c.body_hash.is_not(None))
        return int((await conn.execute(query)).scalar_one())


async def test_a_task_that_fails_stops_no_other_and_is_tried_again(postgres_url: str) -> None:
    database, registry = connect(postgres_url), CollectorRegistry()
    await Past(database, COUNT, WALLET, TOKEN).fill()
    long_ago = SystemClock().now() - timedelta(days=9)
    row = {"session_id": "ons_done1", "email_sealed": "x", "email_digest": "x", "created_at": long_ago}
    async with database.write() as conn:
        await conn.execute(sa.update(sessions).values(body_hash="00"))
        await conn.execute(sa.insert(contacts).values(row))
    janitor = janitor_of(database, registry)
    async with database.write() as other:
        await other.execute(sa.select(contacts).with_for_update())
        with pytest.raises(ExceptionGroup) as failed:
            await janitor.step()
    assert len(failed.value.exceptions) == 1
    assert registry.get_sample_value("onramp_sessions", {"status": "fulfillment_complete"}) == COUNT
    assert await remembered(database) == 0
    await janitor.step()
    async with database.read() as conn:
        assert (await conn.execute(sa.select(contacts))).first() is None
    await database.close()


async def test_counts_follow_what_begins_ends_and_goes(database: Database) -> None:
    await Past(database, 300, WALLET, TOKEN).fill()
    async with database.write() as conn:
        gone = sa.delete(sessions).where(sessions.c.id.in_(["ons_gone1", "ons_gone2"]))
        await conn.execute(gone)
        late = sa.update(sessions).where(sessions.c.id == "ons_gone3")
        await conn.execute(late.values(payment_status="fulfillment_complete"))
        back = sa.update(sessions).where(sessions.c.id == "ons_done1")
        await conn.execute(back.values(delivery_status="seen"))
    for _ in range(2):
        async with database.read() as conn:
            assert await state_counts.by_payment(conn) == {"fulfillment_complete": 301, "expired": 147}
            assert await state_counts.by_delivery(conn) == {"confirmed": 299, "seen": 1, "awaiting": 1}
        async with database.write() as conn:
            await ended_counts.fold(conn)
    async with database.read() as conn:
        assert await ended_counts.changes(conn) == 4
