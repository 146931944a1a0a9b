"""The position up to which the chain was read, stored in a real database while nodes prune, leave and return."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from chain.node.config import NodeConfig
from chain.pool.pool import Pool
from chain.reads import cursor
from kit.db.database import Database
from onramp.bootstrap.factories import session_config
from onramp.config.loader import load
from onramp.deliveries.block_reader import HOLD, OVERLAP, RETRY_SECONDS, BlockReader
from onramp.deliveries.context import DeliveryContext, DeliveryMetrics
from onramp.deliveries.table import transfers
from onramp.deliveries.transfer_matcher import TransferMatcher
from tests.support.clocks import ManualClock
from tests.support.fake_mezod import Mezod
from tests.support.receipts import TOKEN, WALLET
from tests.support.scripted_transport import Raw, ScriptedSession

CHAIN = 31611
LONG = 60_000


class Operators:
    """Three nodes, the pool over them, and a reader that has just been started."""

    def __init__(self, database: Database) -> None:
        """Start with all nodes at block 1,000."""
        self.stores = {f"n{place}.test": Mezod(1_000) for place in range(3)}
        self.down: set[str] = set()
        self.clock = ManualClock(1000.0)
        self.database = database
        session: Any = ScriptedSession(self._speak)
        configs = [NodeConfig(host, host, f"http://{host}/") for host in self.stores]
        self.pool = Pool(configs, chain_id=CHAIN, session=session, clock=self.clock)
        self.restart()

    def _speak(self, host: str, method: str, params: list[Any]) -> Any:
        if host in self.down and method == "eth_getLogs":
            return Raw(502)
        if method == "eth_chainId":
            return hex(CHAIN)
        answer = self.stores[host].results().get(method)
        return answer(params) if answer else None

    def restart(self) -> None:
        """Replace the reader, as a new process does."""
        rules = session_config(load(DELIVERY_MODE="observe", DELIVERY_SENDERS=WALLET, MUSD_TOKEN_ADDRESS=TOKEN))
        keep = TransferMatcher(self.database, rules, self.clock).record
        self.reader = BlockReader(
            DeliveryContext(
                self.database,
                self.pool,
                rules,
                frozenset({WALLET}),
                self.clock,
                DeliveryMetrics(CollectorRegistry()),
                lambda: None,
            ),
            keep,
        )

    def grow(self, blocks: int, *paid: int) -> None:
        """Add blocks to every node."""
        for store in self.stores.values():
            store.head += blocks
            store.paid |= set(paid)
            store.asked.clear()

    @property
    def asked(self) -> list[list[tuple[int, int]]]:
        """Return the requests to each node since blocks were last added."""
        return [store.asked for store in self.stores.values()]

    async def look(self, seconds: float = 3.6) -> int:
        """Read once; return the block up to which all transfers are known."""
        self.clock.seconds += seconds
        self.pool._probe._at = None
        await self.pool.refresh()
        done = await self.reader.read(self.pool.agreed_head())
        async with self.database.read() as conn:
            assert await cursor.read_to(conn, CHAIN) == done
        return done

    async def found(self) -> list[int]:
        """Return the blocks of the transfers in the database."""
        async with self.database.read() as conn:
            return [row.block_number for row in await conn.execute(sa.select(transfers).order_by("block_number"))]


@pytest_asyncio.fixture
async def operators(database: Database) -> AsyncIterator[Operators]:
    three = Operators(database)
    yield three
    await three.pool.close()


async def test_each_block_is_read_once_with_some_overlap(operators: Operators) -> None:
    assert await operators.look() == 1_000
    for _ in range(5):
        operators.grow(1)
        head = operators.stores["n0.test"].head
        assert await operators.look() == head
        assert operators.asked == [[(head - OVERLAP, head)]] * 3


async def test_the_blocks_of_days_of_downtime_are_read_in_few_calls(operators: Operators) -> None:
    await operators.look()
    paid = set(range(1_001, LONG, 7_001))
    operators.grow(LONG, *paid)
    operators.restart()
    assert await operators.look() == 1_000 + LONG
    assert set(await operators.found()) == paid
    assert all(len(asked) <= 10 for asked in operators.asked)


async def test_the_cursor_waits_at_blocks_that_too_few_nodes_hold_until_one_with_history_joins(
    operators: Operators,
) -> None:
    await operators.look()
    operators.grow(LONG, 5_000, LONG)
    pruned = [operators.stores["n0.test"], operators.stores["n1.test"]]
    for store in pruned:
        store.holds_from = LONG - 1_000
    operators.restart()
    assert await operators.look() == 1_000
    assert await operators.found() == [LONG], "what came after the gap is not kept waiting"
    for _ in range(5):
        operators.grow(1)
        head = operators.stores["n0.test"].head
        operators.grow(0, head)
        assert await operators.look() == 1_000
        assert operators.asked == [[(head - OVERLAP, head)]] * 3, "the gap is not asked for with every block"
    assert (await operators.found())[0] == LONG
    pruned[0].holds_from = 1
    operators.grow(1)
    assert await operators.look(RETRY_SECONDS) == operators.stores["n0.test"].head
    assert (await operators.found())[:2] == [5_000, LONG]


async def test_while_operators_are_silent_the_cursor_stays_and_nothing_is_skipped(operators: Operators) -> None:
    await operators.look()
    operators.down = {"n0.test", "n1.test"}
    operators.grow(30, 1_010)
    assert await operators.look() == 1_000
    operators.down.clear()
    operators.grow(30, 1_050)
    assert await operators.look(60) == 1_060
    assert await operators.found() == [1_010, 1_050]


async def test_the_first_block_ever_read_is_not_skipped(operators: Operators) -> None:
    operators.down = {"n0.test", "n1.test"}
    operators.grow(0, 1_000)
    assert await operators.look() == 999
    operators.down.clear()
    operators.grow(5)
    assert await operators.look(60) == 1_005
    assert await operators.found() == [1_000]


async def test_a_transfer_reported_by_one_provider_holds_the_cursor_for_a_limited_time(operators: Operators) -> None:
    await operators.look()
    operators.grow(5)
    operators.stores["n0.test"].paid = {1_002}
    assert await operators.look() == 1_001
    operators.grow(HOLD)
    assert await operators.look() == 1_005
