"""Nonces that were allocated and never signed."""

import pytest

from chain.payonce import ADDRESS
from tests.support.crashes import Crash, crash_at
from tests.support.hot_wallet import BUYER, CHAIN_ID, MUSD, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury.core.facts import OperationFact
from treasury.core.status import Status
from treasury.payouts import service as payouts_service
from treasury.signers.intent import PayIntent, SelfTransferIntent, TransferIntent
from treasury.transactions import service as transactions_service
from treasury.transactions.states import TransactionFact

GWEI = 10**9


@pytest.mark.parametrize(("contract", "payment"), [(None, TransferIntent), (ADDRESS, PayIntent)])
async def test_a_nonce_that_was_never_signed_for_is_spent_by_a_transfer_of_nothing(
    world: TreasuryWorld, contract: str | None, payment: type
) -> None:
    world.contract, world.chain.room = contract, 10
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
    world.signer.requests.clear()
    await world.cycles(world.sender(), 10)
    assert [type(request) for request in world.signer.requests] == [SelfTransferIntent, payment]
    assert (await world.transaction("ons_one")).nonce == 2
    assert {await world.status("ons_one"), await world.status("ons_two")} == {Status.FINAL}
    assert world.metrics.alarms["nonce_stranded"] == 1
