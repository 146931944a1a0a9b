"""Nodes that answer as told, and a pool over them."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from chain.pool.pool import Pool
from chain.reads.transfers import TransferReader
from tests.chain.lying import LyingProxy
from tests.chain.lying_node import LyingNode
from tests.chain.mezod import Mezod
from tests.chain.receipts import TOKEN, WALLET


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.seconds = 1000.0

    def now(self) -> datetime:
        """The moment that belongs to the seconds."""
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        """The seconds."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.seconds += seconds


@pytest_asyncio.fixture
async def nodes() -> AsyncIterator[list[LyingNode]]:
    """Three nodes of three providers: a, b, c."""
    three = [LyingNode(name) for name in ("a.test", "b.test", "c.test")]
    for node in three:
        await node.start()
    yield three
    for node in three:
        await node.stop()


@pytest_asyncio.fixture
async def make_pool(nodes: list[LyingNode]) -> AsyncIterator[Callable[..., Pool]]:
    """Makes pools over the three nodes, and closes them."""
    made: list[Pool] = []

    def make(**options: Any) -> Pool:
        options.setdefault("clock", HandClock())
        configs = options.pop("configs", None) or [node.config for node in nodes]
        pool = Pool(configs, chain_id=31611, **options)
        made.append(pool)
        return pool

    yield make
    for pool in made:
        await pool.close()


@pytest_asyncio.fixture
async def provider_pool(providers: list[LyingProxy]) -> AsyncIterator[Callable[..., Pool]]:
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
    """What each of the three nodes holds."""
    stores = [Mezod() for _ in nodes]
    for node, store in zip(nodes, stores, strict=True):
        node.results.update(store.results())
    return stores


@pytest.fixture
def reader(pool: Any) -> TransferReader:
    """Reads what the wallet sent, from the three nodes."""
    return TransferReader(pool, TOKEN, [WALLET])
