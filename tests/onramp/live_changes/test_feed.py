"""The feed misses no change: not one that commits late, nor one of a slow reader, and it prunes what is old."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from kit.clock import SystemClock
from kit.db.database import Database, connect
from onramp.live_changes import service as live_changes_service
from onramp.live_changes.feed import EVERYTHING, MAX_WAITING, Follower, LiveChanges
from onramp.live_changes.service import LiveChange
from onramp.live_changes.table import live_changes, live_watchers
from tests.support.clocks import OffsetClock
from treasury.pause.table import pauses

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)


class JumpingClock(OffsetClock):
    """The machine's clock, which a test lets jump ahead as it does after a suspension."""

    jumped = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.jumped


def paused(scope: str) -> sa.Insert:
    return sa.insert(pauses).values(id=scope, status="paused", actor="key_1", person="ada", at=NOW)


async def test_a_change_that_commits_after_a_later_one_is_read_too(postgres_url: str) -> None:
    database = connect(postgres_url)
    feed = LiveChanges(database, SystemClock(), "process-1")
    async with feed.follow() as follower:
        async with database.write() as slow:
            await slow.execute(paused("sales"))
            async with database.write() as quick:
                await quick.execute(paused("sweeps"))
            first = await follower.next(5)
        second = await follower.next(5)
    assert first is not None
    assert second is not None
    assert (first.subject, second.subject, first.id > second.id) == ("sweeps", "sales", True)
    await feed.stop()
    async with database.read() as conn:
        assert (await conn.execute(sa.select(live_watchers))).first() is None, "a process that stops watches no more"
    await database.close()


async def test_a_change_that_is_rolled_back_is_no_change(database: Database) -> None:
    feed = LiveChanges(database, SystemClock(), "process-1")
    async with feed.follow() as follower:
        with pytest.raises(RuntimeError):
            async with database.write() as conn:
                await conn.execute(paused("sales"))
                raise RuntimeError
        async with database.write() as conn:
            await conn.execute(paused("sweeps"))
        change = await follower.next(5)
        assert (change and change.subject, await follower.next(0.6)) == ("sweeps", None)
    await feed.stop()


async def test_a_slow_reader_gets_one_change_that_means_everything() -> None:
    follower = Follower()
    for number in range(MAX_WAITING + 1):
        follower.put(LiveChange(number, "payout", f"pay_{number}"))
    assert await follower.next(0) == LiveChange(MAX_WAITING, EVERYTHING, "")
    assert await follower.next(0.01) is None


async def test_readers_read_everything_again_after_the_recording_lapsed(
    sqlite_url: str,
) -> None:
    database, clock = connect(sqlite_url), JumpingClock()
    feed = LiveChanges(database, clock, "process-1")
    async with feed.follow() as follower:
        clock.jumped = live_changes_service.WATCH_SECONDS + 1
        change = await follower.next(5)
    assert change is not None
    assert change.kind == EVERYTHING
    await feed.stop()
    await database.close()


async def test_old_changes_are_deleted_and_their_numbers_are_not_used_again(database: Database) -> None:
    async with database.write() as conn:
        await live_changes_service.watch(conn, "process-1")
        for scope in ("sales", "sweeps"):
            await conn.execute(paused(scope))
    later = datetime.now(UTC) + timedelta(minutes=11)
    async with database.write() as conn:
        assert await live_changes_service.prune(conn, before=later, limit=1) == 1
        assert await live_changes_service.prune(conn, before=later, limit=10) == 1
        assert (await conn.execute(sa.select(live_watchers))).first() is None
        await live_changes_service.watch(conn, "process-1")
        await conn.execute(paused("payouts"))
        assert await conn.scalar(sa.select(live_changes.c.id)) == 3
