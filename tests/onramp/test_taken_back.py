"""Transfers that vanish, move to another block or revert under a claim, and questions that fail: the worker on a real database."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from chain.nodes import NodeConfig
from chain.pool import Pool
from chain.types import BlockRef, Transfer, to_checksum
from kit.database import Database
from onramp.core import session_rules
from onramp.deliveries import seen
from onramp.deliveries.proving import BATCH, GONE_AFTER
from onramp.deliveries.table import transfers
from onramp.deliveries.worker import DeliveriesWorker, DeliveryMetrics
from onramp.sessions.refresh import intent
from onramp.sessions.table import sessions
from onramp.settings import load
from tests.chain.conftest import HandClock
from tests.chain.receipts import BUYER, TOKEN, TX, WALLET, log
from tests.chain.scripted import Raw, ScriptedSession

OTHER_TX = "0x" + "56" * 32
OWED = 5


class Chain:
    """One chain as three operators tell it: `paid` says in which block a transaction is; a branch gives blocks their hashes."""

    def __init__(self) -> None:
        """A hundred blocks."""
        self.head = 100
        self.branch = 0
        self.forked_at = 0
        self.paid: dict[str, int] = {}
        self.recipients: dict[str, str] = {}
        self.reverted: set[str] = set()
        self.unindexed: set[str] = set()
        self.pruned_to = 0
        self.failing: set[str] = set()
        """Methods that every node answers with an error."""

    def hash(self, number: int) -> str:
        """A block's, in the branch that stands."""
        return f"0x{self.branch if number >= self.forked_at else 0:032x}{number:032x}"

    def reorg(self, depth: int) -> None:
        """The last blocks are others now, and what was in them is gone."""
        self.branch += 1
        self.forked_at = self.head - depth + 1
        self.paid = {tx: block for tx, block in self.paid.items() if block < self.forked_at}

    def speak(self, host: str, method: str, params: list[Any]) -> Any:
        """What any of them answers."""
        if method in self.failing:
            return Raw(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}')
        match method:
            case "eth_chainId":
                return hex(31611)
            case "eth_blockNumber":
                return hex(self.head)
            case "eth_getLogs":
                first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
                return [
                    self._log(tx)
                    for tx, block in self.paid.items()
                    if first <= block <= last and tx not in self.reverted
                ]
            case "eth_getBlockByNumber":
                number = int(params[0], 16)
                return (
                    {"number": params[0], "hash": self.hash(number)} if self.pruned_to < number <= self.head else None
                )
            case _:
                return self._receipt(params[0])

    def _log(self, tx_hash: str) -> dict[str, Any]:
        block = self.paid[tx_hash]
        recipient = self.recipients.get(tx_hash, BUYER)
        return {**log(OWED, recipient=recipient, block=block, tx_hash=tx_hash), "blockHash": self.hash(block)}

    def _receipt(self, tx_hash: str) -> dict[str, Any] | None:
        if tx_hash not in self.paid or tx_hash in self.unindexed:
            return None
        block, failed = self.paid[tx_hash], tx_hash in self.reverted
        return {
            "transactionHash": tx_hash,
            "blockHash": self.hash(block),
            "blockNumber": hex(block),
            "status": hex(not failed),
            "logs": [] if failed else [self._log(tx_hash)],
        }


class Shop:
    """The worker over that chain."""

    def __init__(self, database: Database) -> None:
        """Nobody has bought anything."""
        self.chain = Chain()
        self.clock = HandClock()
        self.database = database
        self.session: Any = ScriptedSession(self.chain.speak)
        self.hosts = [f"n{place}.test" for place in range(3)]
        configs = [NodeConfig(host, host, f"http://{host}/") for host in self.hosts]
        self.pool = Pool(configs, chain_id=31611, session=self.session, clock=self.clock)
        self.rules = session_rules(load(DELIVERY_MODE="observe", DELIVERY_SENDERS=WALLET, MUSD_TOKEN_ADDRESS=TOKEN))
        self.registry = CollectorRegistry()
        metrics = DeliveryMetrics(self.registry)
        self.worker = DeliveriesWorker(
            database, self.pool, self.rules, frozenset({WALLET}), self.clock, metrics, lambda: None
        )

    async def purchase(self, number: int = 1, wallet: str = BUYER) -> None:
        """One more, paid."""
        now = self.clock.now()
        row = intent(
            session_id=f"ons_{number}", wallet=wallet, minor=100, currency="usd", locked=wallet, fee_bps=0, rules=self.rules,
            made=now - timedelta(seconds=1), now=now,
        ) | {"payment_status": "fulfillment_complete", "paid_at": now, "delivered_units": 5, "expected_units": OWED, "from_block": 50}  # fmt: skip
        async with self.database.write() as connection:
            await connection.execute(sa.insert(sessions), [row])

    async def step(self, blocks: int = 1) -> Any:
        """So many blocks later; the first session."""
        self.chain.head += blocks
        # Long enough for a node that failed to be asked again.
        self.clock.seconds += 20
        self.pool._probe._at = None
        await self.worker.step()
        async with self.database.read() as connection:
            return (await connection.execute(sa.select(sessions).order_by("id"))).first()

    async def seen(self) -> list[Any]:
        """Every transfer that is kept."""
        async with self.database.read() as connection:
            return list(await connection.execute(sa.select(transfers).order_by("tx_hash")))


@pytest_asyncio.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    made = Shop(database)
    yield made
    await made.pool.close()


async def confirmed(shop: Shop) -> Any:
    """One purchase, delivered in block 101 by TX."""
    await shop.step(0)
    await shop.purchase()
    shop.chain.paid[TX] = 101
    await shop.step()
    row = await shop.step()
    assert (row.delivery_status, row.tx_hash, row.block_number) == ("confirmed", TX, 101)
    return row


async def test_another_transfer_is_claimed_once_the_first_has_vanished(shop: Shop) -> None:
    await confirmed(shop)
    shop.chain.reorg(2)
    row = await shop.step()
    assert (row.delivery_status, row.delivery_reason) == ("seen", "reorg")
    row = await shop.step(GONE_AFTER - 3)
    assert row.delivery_status == "seen", "it may come back"
    row = await shop.step()
    assert (row.delivery_status, row.tx_hash, row.block_hash, row.received_units) == ("awaiting", None, None, None)
    assert await shop.seen() == []
    shop.chain.paid[OTHER_TX] = shop.chain.head + 1
    await shop.step()
    row = await shop.step()
    assert (row.delivery_status, row.tx_hash) == ("confirmed", OTHER_TX)
    assert [one.session_id for one in await shop.seen()] == ["ons_1"]


async def test_one_that_had_vanished_is_claimed_again_when_it_comes_back(shop: Shop) -> None:
    await confirmed(shop)
    shop.chain.reorg(2)
    await shop.step()
    row = await shop.step(GONE_AFTER)
    assert row.delivery_status == "awaiting"
    shop.chain.paid[TX] = block = shop.chain.head + 1
    await shop.step()
    row = await shop.step()
    assert (row.delivery_status, row.tx_hash, row.block_number) == ("confirmed", TX, block)
    assert row.block_hash == shop.chain.hash(block)


async def test_nobody_knowing_a_receipt_is_no_reason_while_its_block_stands(shop: Shop) -> None:
    await shop.step(0)
    await shop.purchase()
    shop.chain.paid[TX] = 101
    shop.chain.unindexed = {TX}
    for _ in range(3):
        row = await shop.step(GONE_AFTER)
        assert (row.delivery_status, row.tx_hash) == ("seen", TX)
    shop.chain.unindexed = set()
    assert (await shop.step()).delivery_status == "confirmed"


async def test_one_that_reverts_in_its_next_block_leaves_the_claim_free(shop: Shop) -> None:
    await confirmed(shop)
    shop.chain.reorg(2)
    shop.chain.paid[TX] = shop.chain.head + 1
    shop.chain.reverted = {TX}
    await shop.step()
    row = await shop.step()
    assert (row.delivery_status, row.tx_hash) == ("awaiting", None)
    assert await shop.seen() == []
    shop.chain.paid[OTHER_TX] = shop.chain.head + 1
    await shop.step()
    assert (await shop.step()).delivery_status == "confirmed"


async def test_one_in_another_block_is_kept_as_it_is_there_and_proved_there(shop: Shop) -> None:
    await confirmed(shop)
    shop.chain.reorg(2)
    shop.chain.paid[TX] = block = shop.chain.head + 1
    await shop.step()
    row = await shop.step()
    assert (row.delivery_status, row.block_number, row.block_hash) == ("confirmed", block, shop.chain.hash(block))
    (kept,) = await shop.seen()
    assert (kept.block_number, kept.block_hash, kept.session_id) == (block, shop.chain.hash(block), "ons_1")


def transfer(block: int, units: int) -> Transfer:
    return Transfer(TOKEN, WALLET, BUYER, units, TX, 0, BlockRef(block, f"0x{block:064x}"))


@pytest.mark.parametrize(("status", "follows"), [(None, True), ("seen", True), ("confirmed", False)])
async def test_the_block_of_a_known_transfer_is_followed_but_under_a_confirmed_delivery(
    shop: Shop, status: str | None, *, follows: bool
) -> None:
    await shop.purchase()
    now = shop.clock.now()
    async with shop.database.write() as connection:
        await seen.record(connection, [transfer(60, 5)], 31611, now)
        if status is not None:
            await connection.execute(sa.update(sessions).values(delivery_status=status))
            await connection.execute(sa.update(transfers).values(session_id="ons_1"))
    async with shop.database.write() as connection:
        await seen.record(connection, [transfer(61, 7)], 31611, now)
    (kept,) = await shop.seen()
    assert kept.block_number == (61 if follows else 60)
    assert kept.block_hash == f"0x{kept.block_number:064x}"
    assert kept.units == (7 if status is None else 5), "what a claim rests on is for the proof to judge"


@pytest.mark.parametrize("failing", ["eth_getLogs", "eth_getBlockByNumber"])
async def test_a_question_that_fails_does_not_stop_the_others(shop: Shop, failing: str) -> None:
    await shop.step(0)
    await shop.purchase()
    shop.chain.paid[TX] = 101
    shop.chain.unindexed = {TX}
    row = await shop.step()
    assert row.delivery_status == "seen"
    shop.chain.unindexed = set()
    shop.chain.failing = {failing}
    for _ in range(2):
        row = await shop.step()
    assert row.delivery_status == "confirmed"
    shop.chain.failing = set()
    shop.chain.reorg(4)
    row = await shop.step()
    assert (row.delivery_status, row.delivery_reason) == ("seen", "reorg"), (
        "and the blocks missed are looked at after all"
    )


async def test_blocks_that_nobody_holds_any_more_are_counted_and_keep_no_new_buyer_waiting(shop: Shop) -> None:
    await shop.step(0)
    await shop.purchase()
    assert shop.registry.get_sample_value("onramp_delivery_unread_blocks") == 0
    shop.chain.pruned_to = 5_000
    shop.chain.paid[TX] = 5_950
    await shop.step(5_900)
    row = await shop.step()
    assert (row.delivery_status, row.tx_hash) == ("confirmed", TX)
    assert shop.registry.get_sample_value("onramp_delivery_unread_blocks") == 5_901


async def many(shop: Shop, count: int) -> None:
    """So many purchases, each paid by a transfer of its own in block 101."""
    await shop.step(0)
    for number in range(count):
        wallet = to_checksum(f"0x{number + 1:040x}")
        await shop.purchase(number, wallet)
        shop.chain.paid[f"0x{number + 1:064x}"] = 101
        shop.chain.recipients[f"0x{number + 1:064x}"] = wallet


async def statuses(shop: Shop) -> dict[str, str]:
    async with shop.database.read() as connection:
        return {row.id: row.delivery_status for row in await connection.execute(sa.select(sessions))}


async def test_two_hundred_that_wait_cost_a_few_requests(shop: Shop) -> None:
    await many(shop, 200)
    await shop.step()
    assert set((await statuses(shop)).values()) == {"seen"}
    before = dict(shop.session.requests)
    await shop.step()
    assert set((await statuses(shop)).values()) == {"confirmed"}
    # Head, logs and two batches of receipts; the newest block may be asked for twice.
    assert all(shop.session.requests[host] - before[host] <= 5 for host in shop.hosts)


async def test_those_whose_proof_does_not_come_do_not_stand_before_the_others(shop: Shop) -> None:
    await many(shop, BATCH + 5)
    shop.chain.unindexed = {f"0x{number + 1:064x}" for number in range(BATCH)}
    for _ in range(4):
        await shop.step()
    told = await statuses(shop)
    assert [told[f"ons_{number}"] for number in range(BATCH, BATCH + 5)] == ["confirmed"] * 5
