"""A failed payout whose buyer was paid in another way is closed by its proof, or by a person's note."""

from tests.support.hot_wallet import MUSD, WALLET
from tests.support.payout_decisions import decide, proof, refusal_code, reverted_payout
from tests.support.treasury_world import TreasuryWorld
from treasury import paid_elsewhere
from treasury.core.status import Status
from treasury.ledger import service as ledger_service
from treasury.ledger.states import Account
from treasury.payouts import approvals
from treasury.signers.protocol import Signed
from treasury.transactions import service as transactions_service


async def test_a_reorganised_failure_does_not_pay_a_buyer_who_was_paid_elsewhere(world: TreasuryWorld) -> None:
    sender = await reverted_payout(world)
    (was,) = world.chain.mined.values()
    await decide(world, paid_elsewhere.settle, "ons_one", note="paid in cash")
    world.chain.mined.clear()
    world.chain.nonce = 0
    world.chain.forks[was.block.number] = "0x" + "ee" * 32
    world.chain.received.clear()
    await world.cycles(sender, 4)
    assert (await world.status("ons_one"), world.chain.received) == (Status.CANCELLED, [])
    assert world.metrics.alarms["reorg"] == 1


async def test_a_payout_paid_elsewhere_is_settled_by_its_proof_or_by_a_note(world: TreasuryWorld) -> None:
    await reverted_payout(world)
    assert await refusal_code(world, paid_elsewhere.settle, "ons_one", note=" ") == "validation_failed"

    assert await refusal_code(world, paid_elsewhere.settle, "ons_one", proven=proof(4 * MUSD)) == "not_settled"
    settled = await decide(world, paid_elsewhere.settle, "ons_one", proven=proof(5 * MUSD))
    assert (settled.status, settled.tx_hash) == (Status.FINAL, "0x" + "ab" * 32)
    await reverted_payout(world, "ons_two")
    closed = await decide(world, paid_elsewhere.settle, "ons_two", note="paid in cash")
    assert closed.status is Status.CANCELLED
    assert await refusal_code(world, approvals.retry, "ons_two", person="anna") == "not_possible"


async def test_one_transfer_settles_one_payout(world: TreasuryWorld) -> None:
    await world.owe("ons_paid")
    await world.cycles(world.sender(), 4)
    paid = (await world.payout("ons_paid")).tx_hash
    assert paid is not None
    for session in ("ons_one", "ons_two"):
        await reverted_payout(world, session)
    # Any of its signatures may be the one that was mined, also before our rows have seen it.
    again = Signed(b"", "0x" + "77" * 32, "")
    async with world.database.write() as conn:
        row = (await world.transaction("ons_paid")).id
        await transactions_service.add_attempt(conn, row, again, intent=None, now=world.clock.now(), ids=world.ids)
    for tx_hash in (paid, again.hash):
        code = await refusal_code(world, paid_elsewhere.settle, "ons_one", proven=proof(5 * MUSD, tx_hash, WALLET))
        assert code == "not_settled"
    await decide(world, paid_elsewhere.settle, "ons_one", proven=proof(5 * MUSD))
    assert await refusal_code(world, paid_elsewhere.settle, "ons_two", proven=proof(5 * MUSD)) == "not_settled"
    await decide(world, paid_elsewhere.settle, "ons_two", proven=proof(5 * MUSD, "0x" + "cd" * 32))


async def test_a_payment_from_elsewhere_does_not_explain_missing_coins(world: TreasuryWorld) -> None:
    """One person settles; that coins are gone takes two to answer."""
    sender = await reverted_payout(world)
    await world.cycles(sender)
    world.chain.balance -= 5 * MUSD
    await world.cycles(sender)
    await decide(world, paid_elsewhere.settle, "ons_one", proven=proof(5 * MUSD))
    await world.cycles(sender)
    async with world.database.read() as conn:
        books = await ledger_service.balances(conn, WALLET, "MUSD")
    assert (books[Account.SUSPENSE], books[Account.PAID_OUT]) == (5 * MUSD, 5 * MUSD)
    assert world.metrics.is_stopped
