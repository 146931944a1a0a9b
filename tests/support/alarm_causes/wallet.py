"""The causes of alarms about the hot wallet, its key and the chain."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from chain.abi.erc20 import reference_of
from chain.payonce import ADDRESS
from tests.support.alarm_causes.treasury import GWEI, changed, explain, hold, run, use_key
from tests.support.crashes import Crash, crash_at
from tests.support.hot_wallet import BUYER, CHAIN_ID, MUSD, SAFE, TOKEN, WALLET
from tests.support.payout_rows import change
from tests.support.treasury_world import TreasuryWorld
from treasury.core.facts import OperationFact
from treasury.ledger import service as ledger_service
from treasury.payouts import service as payouts_service
from treasury.signers.intent import TransferIntent
from treasury.transactions import service as transactions_service
from treasury.transactions.states import TransactionFact
from treasury.transactions.table import transactions


async def foreign_transaction(world: TreasuryWorld) -> AsyncIterator[None]:
    await use_key(world, b"\x07" * 32)
    await run(world, 1)
    yield
    await explain(world)


async def unidentified_transaction(world: TreasuryWorld) -> AsyncIterator[None]:
    world.stripe.down = True
    await use_key(world, b"\x07" * 32)
    await run(world, 6)
    yield
    await explain(world)


async def unknown_sweep(world: TreasuryWorld) -> AsyncIterator[None]:
    await use_key(world, reference_of("swp_lost"), to=SAFE)
    await run(world, 2)
    yield
    await explain(world)


async def unknown_nonces(world: TreasuryWorld) -> AsyncIterator[None]:
    await run(world, 1)
    world.chain.nonce += 1
    sender = world.sender()
    await sender.step()
    yield
    await world.cycles(sender, 6)
    await explain(world)


async def nonce_taken(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.owe("ons_one")
    with changed(world.chain, deaf=True, hides_logs=True):
        sender = world.sender()
        await sender.step()
        await use_key(world, None)
        await world.cycles(sender, 20)
        yield
    await world.cycles(sender, 3)


async def unknown_bytes(world: TreasuryWorld) -> AsyncIterator[None]:
    world.chain.claimed_counts = {"one": 2}
    await world.owe("ons_one")
    await world.sender().step()
    yield
    world.chain.claimed_counts = {}
    await run(world, 12)
    await world.owe("ons_two")
    await run(world)


async def lost_writes(world: TreasuryWorld) -> AsyncIterator[None]:
    sender = world.sender()
    await world.owe("ons_one")
    await sender.step()
    world.chain.pending.clear()
    await world.forget()
    await world.owe("ons_two")
    await world.cycles(sender, 2)
    yield


async def payout_allowance(world: TreasuryWorld) -> AsyncIterator[None]:
    world.contract = ADDRESS
    async for _ in hold(world, world.chain, allowed=0):
        yield


async def restore_insufficient(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.declare_restore()
    with changed(world.chain, native=1):
        await run(world)
        yield
    await run(world, 6)


async def ledger_difference(world: TreasuryWorld) -> AsyncIterator[None]:
    await run(world, 2)
    world.chain.balance -= 3 * MUSD
    await run(world, 6)
    yield
    async with world.database.write() as conn:
        await ledger_service.write_off(
            conn, WALLET, "MUSD", 3 * MUSD, by="key_anna", note="known", now=world.clock.now()
        )
    await run(world, 6)


async def transfer_mismatch(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.mismatched(world.sender())
    yield


async def row_forged(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.owe("ons_one")
    sender = world.sender()
    await sender.step()
    world.chain.pending.clear()
    world.chain.floor = world.chain.fee = 3 * GWEI
    await change(world, "ons_one", to_address=SAFE)
    await world.cycles(sender, 10)
    yield


async def nothing_reverted(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.declare_restore()
    world.chain.reverts = True
    await run(world)
    yield


async def fee_ceiling(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.declare_restore()
    with changed(world.chain, fee=60 * GWEI):
        await run(world)
        yield
    await run(world)


async def signer_unavailable(world: TreasuryWorld) -> AsyncIterator[None]:
    async for _ in hold(world, world.signer, down=True):
        yield


async def signer_refused(world: TreasuryWorld) -> AsyncIterator[None]:
    async for _ in hold(world, world.signer, limits=replace(world.signer.limits, max_fee=1)):
        yield


async def reorg(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.owe("ons_one")
    sender = world.sender()
    await world.cycles(sender, 2)
    world.chain.unmine((await world.payout("ons_one")).tx_hash or "")
    while await sender.step():
        pass
    yield


async def block_changed(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.owe("ons_one")
    sender = world.sender()
    await sender.step()
    async with world.database.write() as conn:  # as a version did that recorded the block before the proof
        await conn.execute(sa.update(transactions).values(block_hash="0x" + "ee" * 32))
    await world.cycles(sender, 3)
    yield


async def nonce_stranded(world: TreasuryWorld) -> AsyncIterator[None]:
    world.chain.room = 10
    await world.owe("ons_one")
    with pytest.raises(Crash):
        await world.sender(crash_at("nonce_taken")).step()
    # A later nonce is allocated already, as in a pipeline whose first signature failed.
    second = await world.owe("ons_two", MUSD)
    reference = bytes.fromhex((await world.payout("ons_two")).reference[2:])
    later = TransferIntent(CHAIN_ID, WALLET, 1, TOKEN, BUYER, MUSD, reference, 80_000, GWEI, 1)
    signed, now = await world.signer.sign(later), world.clock.now()
    async with world.database.write() as conn:
        (row,) = await transactions_service.allocate_nonces(conn, [(later, second)], now=now, ids=world.ids)
        await transactions_service.add_attempt(conn, row, signed, intent=later, now=now, ids=world.ids)
        await transactions_service.move(conn, row, TransactionFact.STORED, now=now)
        await payouts_service.move(conn, second, OperationFact.READY, now=now, transaction_id=row)
        await payouts_service.move(conn, second, OperationFact.SIGNED, now=now, tx_hash=signed.hash)
    await run(world, 10)
    yield
