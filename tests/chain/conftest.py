"""Fixtures: nodes with scripted answers, and a pool over them."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from chain.pool.pool import Pool
from chain.reads.transfers import TransferReader
from tests.support.clocks import ManualClock
from tests.support.fake_mezod import Mezod
from tests.support.fake_node import FakeNode
from tests.support.faulty_proxy import FaultyProxy
from tests.support.receipts import TOKEN, WALLET

EPOCH = datetime.fromtimestamp(0, UTC)


@pytest_asyncio.fixture
async def nodes() -> AsyncIterator[list[FakeNode]]:
    """Three nodes of three providers: a, b, c."""
    three = [FakeNode(name) for name in ("a.test", "b.test", "c.test")]
    for node in three:
        await node.start()
    yield three
    for node in three:
        await node.stop()


@pytest_asyncio.fixture
async def make_pool(nodes: list[FakeNode]) -> AsyncIterator[Callable[..., Pool]]:
    """Makes pools over the three nodes, and closes them."""
    made: list[Pool] = []

    def make(**options: Any) -> Pool:
        options.setdefault("clock", ManualClock(1000.0, epoch=EPOCH))
        configs = options.pop("configs", None) or [node.config for node in nodes]
        pool = Pool(configs, chain_id=31611, **options)
        made.append(pool)
        return pool

    yield make
    for pool in made:
        await pool.close()


@pytest_asyncio.fixture
async def provider_pool(providers: list[FaultyProxy]) -> AsyncIterator[Callable[..., Pool]]:
    """Makes pools over the three providers of a real chain, and closes them."""
    made: list[Pool] = []

    def make(agreement: int, **options: Any) -> Pool:
        made.append(Pool([one.config for one in providers], chain_id=31611, agreement=agreement, **options))
        return made[-1]

    yield make
    for pool in made:
        await pool.close()


@pytest_asyncio.fixture
async def pool(make_pool: Callable[..., Pool]) -> Pool:
    """A pool over the three nodes in which two must agree."""
    return make_pool()


@pytest.fixture
def three(nodes: Any) -> list[Mezod]:
    """The blocks and logs that each of the three nodes holds."""
    stores = [Mezod() for _ in nodes]
    for node, store in zip(nodes, stores, strict=True):
        node.results.update(store.results())
    return stores


@pytest.fixture
def reader(pool: Any) -> TransferReader:
    """Reads what the wallet sent, from the three nodes."""
    return TransferReader(pool, TOKEN, [WALLET])
