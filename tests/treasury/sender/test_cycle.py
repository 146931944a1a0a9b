"""A payout is paid once: when nothing fails, and with one failure at a time."""

from typing import Any

import sqlalchemy as sa

from tests.support.hot_wallet import MUSD, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury import balances
from treasury.core import history
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.transactions.table import transactions as transactions_table


async def test_a_payout_goes_all_the_way(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    await world.cycles(world.sender())
    payout = await world.payout("ons_one")
    assert payout.status is Status.FINAL
    assert [tx.hash for tx in world.chain.transfers()] == [payout.tx_hash]
    async with world.database.read() as conn:
        moves = [entry.to_status for entry in await history.of(conn, payout.id)]
    assert moves == ["planned", "approved", "signed", "broadcast", "mined", "final"]


async def test_bytes_are_stored_before_they_are_broadcast(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    world.chain.deaf = True
    await world.cycles(world.sender(), 1)
    transaction = await world.transaction("ons_one")
    assert transaction.status is Status.SIGNED
    assert [attempt.raw for attempt in transaction.attempts] == world.chain.received


async def test_the_same_bytes_are_sent_until_they_are_mined(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    world.chain.deaf = True
    sender = world.sender()
    await world.cycles(sender, 4)
    world.chain.deaf = False
    await world.cycles(sender, 4)
    assert await world.status("ons_one") is Status.FINAL
    assert len(set(world.chain.received)) == 1
    assert len(world.chain.received) > 1
    assert len(world.signer.requests) == 1


async def test_rebroadcasts_are_throttled(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    world.chain.deaf = True
    sender = world.sender()
    for _ in range(10):
        await sender.step()
    assert len(world.chain.received) == 1


async def test_a_full_pipeline_reads_no_rows_until_a_block_comes_or_a_second_is_over(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    sender, statements = world.sender(lease_seconds=30.0), list[str]()

    def record(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    assert await sender.step()
    assert not await sender.step(), "the lease is renewed once"
    sa.event.listen(world.database.engine.sync_engine, "before_cursor_execute", record)
    assert not await sender.step()
    assert statements == []
    world.clock.seconds += 1
    assert not await sender.step()
    assert statements != []
    world.chain.mine()
    assert await sender.step()
    assert await world.status("ons_one") is Status.FINAL


async def test_the_oldest_is_paid_first_and_one_at_a_time(world: TreasuryWorld) -> None:
    for name in ("ons_a", "ons_b", "ons_c"):
        await world.owe(name)
        world.clock.seconds += 1
    sender = world.sender()
    await sender.step()
    assert [await world.status(name) for name in ("ons_a", "ons_b", "ons_c")] == ["broadcast", "planned", "planned"]
    await world.cycles(sender, 8)
    assert [(await world.transaction(name)).nonce for name in ("ons_a", "ons_b", "ons_c")] == [0, 1, 2]


async def test_owing_twice_is_owing_once(world: TreasuryWorld) -> None:
    assert await world.owe("ons_one", 5 * MUSD) == await world.owe("ons_one", 7 * MUSD)
    assert (await world.payout("ons_one")).amount == 5 * MUSD


async def test_too_little_waits_and_comes_back_with_the_oldest_first(world: TreasuryWorld) -> None:
    world.chain.balance = 6 * MUSD
    await world.owe("ons_large", 10 * MUSD)
    world.clock.seconds += 1
    await world.owe("ons_small", MUSD)
    sender = world.sender()
    await world.cycles(sender, 3)
    large = await world.payout("ons_large")
    assert (large.status, large.reason) == (Status.HELD, "insufficient")
    assert await world.status("ons_small") is Status.PLANNED
    assert world.metrics.alarms["payout_insufficient"] == 1
    world.chain.balance = 20 * MUSD
    await world.cycles(sender, 8)
    assert await world.status("ons_large") is Status.FINAL
    assert await world.status("ons_small") is Status.FINAL
    assert (await world.transaction("ons_large")).nonce == 0


async def test_without_gas_nothing_is_signed(world: TreasuryWorld) -> None:
    world.chain.native = 1
    await world.owe("ons_one")
    await world.cycles(world.sender(), 2)
    assert (await world.payout("ons_one")).reason == "insufficient"
    assert world.signer.requests == []


async def test_a_fee_above_the_ceiling_waits(world: TreasuryWorld) -> None:
    world.chain.fee = 60 * 10**9
    await world.owe("ons_one")
    sender = world.sender()
    await world.cycles(sender, 2)
    assert (await world.payout("ons_one")).reason == "fee_ceiling"
    world.chain.fee = 10**9
    await world.cycles(sender, 4)
    assert await world.status("ons_one") is Status.FINAL


async def test_a_chain_that_cannot_be_read_is_why_the_queue_waits_until_another_process_reads_it(
    world: TreasuryWorld,
) -> None:
    await world.owe("ons_one")
    await world.owe("ons_two")
    world.chain.unreachable = True
    sender = world.sender()
    assert not await sender.step()
    told = [await world.payout(session) for session in ("ons_one", "ons_two")]
    assert [(one.status, one.reason) for one in told] == [(Status.PLANNED, Reason.WAITING_FOR_SECOND_NODE)] * 2
    await sender.stop()
    world.chain.unreachable = False
    await world.sender().step()
    told = [await world.payout(session) for session in ("ons_one", "ons_two")]
    assert sorted((one.status, one.reason) for one in told) == [(Status.BROADCAST, None), (Status.PLANNED, None)]


async def test_payouts_wait_while_stripe_is_unavailable(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    world.stripe.down = True
    sender = world.sender()
    await world.cycles(sender, 2)
    assert await world.status("ons_one") is Status.PLANNED
    world.stripe.down = False
    await world.cycles(sender)
    assert await world.status("ons_one") is Status.FINAL


async def test_a_signer_that_is_down_gives_the_nonce_back(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    world.signer.down = True
    sender = world.sender()
    await sender.step()
    await sender.step()
    async with world.database.read() as conn:
        row = (await conn.execute(sa.select(transactions_table))).one()
    assert (row.status, row.nonce) == ("cancelled", None)
    assert await world.status("ons_one") is Status.APPROVED
    world.signer.down = False
    await world.cycles(sender)
    assert await world.status("ons_one") is Status.FINAL
    assert (await world.transaction("ons_one")).nonce == 0


async def test_a_reverted_payout_leaves_the_buyer_unpaid_with_an_alarm_and_blocks_no_other(
    world: TreasuryWorld,
) -> None:
    await world.owe("ons_bad")
    world.clock.seconds += 1
    await world.owe("ons_good")
    sender = world.sender()
    world.chain.reverts = True
    await world.cycles(sender, 1)
    world.chain.reverts = False
    await world.cycles(sender)
    assert await world.status("ons_bad") is Status.REVERTED
    assert await world.status("ons_good") is Status.FINAL
    assert world.metrics.alarms["payout_reverted"] == 1


async def test_nothing_is_paid_to_the_token_or_the_wallet_itself(world: TreasuryWorld) -> None:
    await world.owe("ons_token", to=TOKEN)
    await world.owe("ons_self", to=WALLET)
    await world.owe("ons_one")
    await world.cycles(world.sender(), 8)
    assert (await world.payout("ons_token")).reason == "recipient_refused"
    assert (await world.payout("ons_self")).reason == "recipient_refused"
    assert await world.status("ons_one") is Status.FINAL


async def test_a_halted_chain_pauses_and_fails_nothing(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    world.chain.unreachable = True
    sender = world.sender()
    assert await sender.step() is False
    world.chain.unreachable = False
    await world.cycles(sender)
    assert await world.status("ons_one") is Status.FINAL


async def test_a_block_that_changes_moves_final_back_and_sends_the_same_bytes(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    sender = world.sender()
    await world.cycles(sender, 2)
    payout = await world.payout("ons_one")
    assert payout.status is Status.FINAL
    number, sent = payout.block_number or 0, len(world.chain.received)
    world.chain.forks[number] = "0x" + "f0" * 32
    gone = world.chain.mined.pop(payout.tx_hash or "")
    world.chain.nonce, world.chain.balance = gone.tx.nonce, world.chain.balance + 5 * MUSD
    await world.owe("ons_two")
    while await sender.step():
        pass
    assert await world.status("ons_one") is Status.BROADCAST
    assert (await world.payout("ons_one")).reason in {"reorg", None}
    assert await world.status("ons_two") is Status.PLANNED
    assert world.metrics.alarms["reorg"] == 1
    await world.cycles(sender, 6)
    assert await world.status("ons_one") is Status.FINAL
    assert await world.status("ons_two") is Status.FINAL
    assert len(set(world.chain.received[: sent + 1])) == 1
    assert len(world.chain.transfers()) == 2


async def test_an_owed_amount_is_reserved_until_the_balance_includes_its_payment(world: TreasuryWorld) -> None:
    sender = world.sender()
    await sender.step()
    await world.owe("ons_one", 40 * MUSD)
    async with world.database.read() as conn:
        before = await balances.available(conn, WALLET, "MUSD")
    assert (before.reserved, before.available) == (40 * MUSD, 1_000_000 * MUSD - 40 * MUSD)
    await world.cycles(sender)
    async with world.database.read() as conn:
        after = await balances.available(conn, WALLET, "MUSD")
    assert (after.reserved, after.available) == (0, 1_000_000 * MUSD - 40 * MUSD)
