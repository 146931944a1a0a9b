"""Receivers on real sockets that answer a byte a minute or a gigabyte: they are cut off, and delay nobody."""

import asyncio

import psutil

from kit.db.database import Database, connect
from tests.support.hooks_world import HooksWorld, settled
from tests.support.raw_receivers import OK, outbound_client, raw_receiver

ATTEMPT_SECONDS = 0.5
"""In place of 15 seconds."""
BYTE_SECONDS = 60 * ATTEMPT_SECONDS / 15
"""A minute, on the same scale."""
MESSAGES = 12
GIGABYTE = 1 << 30
MEGABYTE = 1 << 20


async def _drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(BYTE_SECONDS)


class _Flood:
    """Answers 200 with a body of a gigabyte, as fast as the client reads it."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GIGABYTE)
        while not writer.is_closing():
            writer.write(b"a" * 65_536)
            await writer.drain()
            self.sent += 65_536


async def test_slow_and_endless_answers_are_cut_off_and_delay_no_other_endpoint(sqlite_url: str) -> None:
    flood, database = _Flood(), connect(sqlite_url)
    async with (
        raw_receiver(_drip) as (slow, slow_heads),
        raw_receiver(flood) as (endless, _),
        raw_receiver(OK) as (fast, fast_heads),
        outbound_client(seconds=ATTEMPT_SECONDS) as client,
    ):
        world = await _world(database, slow=slow, endless=endless, fast=fast)
        worker = world.make_worker("one", client=client)
        await world.emit(MESSAGES)
        memory = psutil.Process().memory_info().rss
        await worker.step()
        await settled(lambda: len(fast_heads) == MESSAGES)
        assert len(slow_heads) <= 4, "the fast receiver has all, while the first requests to the slow one are open"
        await worker.idle()
        rows = {(row.endpoint_id, row.status, row.attempts[0]["outcome"]) for row in await world.deliveries()}
    assert rows == {
        ("whk_fast", "delivered", "delivered"),
        ("whk_endless", "delivered", "delivered"),
        ("whk_slow", "pending", "timeout"),
    }
    assert all(len(row.attempts) == 1 for row in await world.deliveries())
    assert flood.sent < MESSAGES * 32 * MEGABYTE, "a gigabyte each was offered"
    assert psutil.Process().memory_info().rss - memory < 64 * MEGABYTE
    await database.close()


async def _world(database: Database, **ports: int) -> HooksWorld:
    world = HooksWorld(database)
    for name, port in ports.items():
        await world.add(name, url=f"http://127.0.0.1:{port}/hook")
    return world
