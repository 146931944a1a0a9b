"""Transfers that vanish, move to another block or revert after they were claimed, and calls that fail: the worker on a real database."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from chain.types import BlockRef, Transfer, to_checksum
from kit.db.database import Database
from onramp.deliveries import observed_transfers
from onramp.deliveries.context import DeliveryContext, DeliveryMetrics
from onramp.deliveries.prover import BATCH, GONE_AFTER, Prover
from onramp.deliveries.table import transfers
from onramp.sessions.table import sessions
from tests.support.receipts import BUYER, TOKEN, TX, WALLET
from tests.support.scripted_deliveries import OTHER_TX, Shop


@pytest_asyncio.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    made = Shop(database)
    yield made
    await made.pool.close()


async def confirmed(shop: Shop) -> Any:
    """Add one purchase that TX delivers in block 101."""
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


async def test_a_transfer_that_vanished_is_claimed_again_when_it_returns(shop: Shop) -> None:
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


async def test_a_missing_receipt_is_no_reason_to_reopen_while_its_block_remains(shop: Shop) -> None:
    await shop.step(0)
    await shop.purchase()
    shop.chain.paid[TX] = 101
    shop.chain.unindexed = {TX}
    for _ in range(3):
        row = await shop.step(GONE_AFTER)
        assert (row.delivery_status, row.tx_hash) == ("seen", TX)
    shop.chain.unindexed = set()
    assert (await shop.step()).delivery_status == "confirmed"


async def test_a_transfer_that_reverts_in_another_block_releases_its_claim(shop: Shop) -> None:
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


async def test_a_transfer_that_moves_to_another_block_is_proved_there(shop: Shop) -> None:
    await confirmed(shop)
    shop.chain.reorg(2)
    shop.chain.paid[TX] = block = shop.chain.head + 1
    await shop.step()
    row = await shop.step()
    assert (row.delivery_status, row.block_number, row.block_hash) == ("confirmed", block, shop.chain.hash(block))
    (kept,) = await shop.seen()
    assert (kept.block_number, kept.block_hash, kept.session_id) == (block, shop.chain.hash(block), "ons_1")


@pytest.mark.parametrize(("mode", "becomes"), [("payout", "confirmed"), ("observe", "mismatch")])
async def test_a_transfer_from_another_sender_counts_only_for_payouts(shop: Shop, mode: str, becomes: str) -> None:
    """Payments by an earlier hot wallet, or settled by a person with a proof, count; a stranger's transfer does not."""
    await shop.purchase()
    shop.chain.paid[TX] = 99
    async with shop.database.write() as conn:
        await conn.execute(sa.update(sessions).values(mode=mode, delivery_status="seen", tx_hash=TX))
    metrics, stranger = DeliveryMetrics(CollectorRegistry()), to_checksum("0x" + "99" * 20)
    prover = Prover(
        DeliveryContext(shop.database, shop.pool, shop.rules, frozenset({stranger}), shop.clock, metrics, lambda: None)
    )
    await shop.pool.refresh()
    await prover.prove()
    assert (await shop.step(0)).delivery_status == becomes


def transfer(block: int, units: int) -> Transfer:
    return Transfer(TOKEN, WALLET, BUYER, units, TX, 0, BlockRef(block, f"0x{block:064x}"))


@pytest.mark.parametrize(("status", "follows"), [(None, True), ("seen", True), ("confirmed", False)])
async def test_the_block_of_a_known_transfer_is_followed_but_under_a_confirmed_delivery(
    shop: Shop, status: str | None, *, follows: bool
) -> None:
    await shop.purchase()
    now = shop.clock.now()
    async with shop.database.write() as conn:
        await observed_transfers.record(conn, [transfer(60, 5)], 31611, now)
        if status is not None:
            await conn.execute(sa.update(sessions).values(delivery_status=status))
            await conn.execute(sa.update(transfers).values(session_id="ons_1"))
    async with shop.database.write() as conn:
        await observed_transfers.record(conn, [transfer(61, 7)], 31611, now)
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
    assert (row.delivery_status, row.delivery_reason) == ("seen", "reorg"), "and the missed blocks are read after all"


async def test_blocks_that_no_node_holds_any_more_are_counted_and_delay_no_new_buyer(shop: Shop) -> None:
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
    """Insert this number of purchases, each paid by its own transfer in block 101."""
    await shop.step(0)
    for number in range(count):
        wallet = to_checksum(f"0x{number + 1:040x}")
        await shop.purchase(number, wallet)
        shop.chain.paid[f"0x{number + 1:064x}"] = 101
        shop.chain.recipients[f"0x{number + 1:064x}"] = wallet


async def statuses(shop: Shop) -> dict[str, str]:
    async with shop.database.read() as conn:
        return {row.id: row.delivery_status for row in await conn.execute(sa.select(sessions))}


async def test_two_hundred_that_wait_cost_a_few_requests(shop: Shop) -> None:
    await many(shop, 200)
    await shop.step()
    assert set((await statuses(shop)).values()) == {"seen"}
    before = dict(shop.session.requests)
    await shop.step()
    assert set((await statuses(shop)).values()) == {"confirmed"}
    # Head, logs and two batches of receipts; the newest block may be asked for twice.
    assert all(shop.session.requests[host] - before[host] <= 5 for host in shop.hosts)


async def test_deliveries_without_a_proof_do_not_delay_the_others(shop: Shop) -> None:
    await many(shop, BATCH + 5)
    shop.chain.unindexed = {f"0x{number + 1:064x}" for number in range(BATCH)}
    for _ in range(4):
        await shop.step()
    status_by_id = await statuses(shop)
    assert [status_by_id[f"ons_{number}"] for number in range(BATCH, BATCH + 5)] == ["confirmed"] * 5
