"""The database is older than the chain, or someone else holds the key."""

import sqlalchemy as sa

from chain.abi.erc20 import reference_of
from tests.support.fake_signer import KeySigner
from tests.support.hot_wallet import BUYER, CHAIN_ID, HOT_WALLET, MUSD, SAFE, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury.core.status import Status
from treasury.incidents import unmatched
from treasury.incidents.model import UnmatchedTransaction
from treasury.payouts.table import payouts
from treasury.signers.intent import NativeTransferIntent, TransferIntent
from treasury.sweeps.states import SweepKind
from treasury.sweeps.table import sweeps
from treasury.transactions.table import attempts, transactions


async def open_rows(world: TreasuryWorld) -> list[UnmatchedTransaction]:
    async with world.database.read() as conn:
        return await unmatched.list_open(conn, HOT_WALLET)


async def use_key(world: TreasuryWorld, reference: bytes | None, amount: int = 3 * MUSD) -> None:
    """Send a transaction of the wallet that this database did not make."""
    intent = TransferIntent(CHAIN_ID, WALLET, world.chain.nonce, TOKEN, BUYER, amount, reference, 80_000, 10**9, 10**8)
    world.chain.accept((await world.signer.sign(intent)).raw)
    world.chain.mine()
    world.signer.requests.clear()


async def test_payouts_known_again_are_adopted_before_anything_is_signed(world: TreasuryWorld) -> None:
    sessions = ("ons_a", "ons_b", "ons_c")
    for session in sessions:
        await world.owe(session)
        world.clock.seconds += 1
    await world.cycles(world.sender(), 8)
    hashes = [(await world.payout(session)).tx_hash for session in sessions]
    await world.forget()
    for session in sessions:
        await world.owe(session)
    await world.owe("ons_new")
    world.signer.requests.clear()
    await world.cycles(world.sender(), 8)
    assert [(await world.payout(session)).tx_hash for session in sessions] == hashes
    assert [request.nonce for request in world.signer.requests] == [3]
    assert len(world.chain.transfers()) == 4
    assert {await world.status(session) for session in (*sessions, "ons_new")} == {Status.FINAL}


async def test_a_payout_rebuilt_after_its_payment_was_noticed_is_adopted(world: TreasuryWorld) -> None:
    await world.owe("ons_a")
    await world.cycles(world.sender(), 3)
    paid = (await world.payout("ons_a")).tx_hash
    await world.forget()
    world.stripe.down = True
    sender = world.sender()
    await world.owe("ons_new")
    await world.cycles(sender, 2)
    assert await world.status("ons_new") is Status.PLANNED
    assert [row.tx_hash for row in await open_rows(world)] == [paid]
    assert world.metrics.alarms == {}, "Stripe may still say whose it is"
    world.stripe.down = False
    await world.owe("ons_a")
    await world.cycles(sender, 6)
    assert (await world.payout("ons_a")).tx_hash == paid
    assert {await world.status("ons_a"), await world.status("ons_new")} == {Status.FINAL}
    assert len(world.chain.transfers()) == 2


async def test_adopted_transactions_keep_their_bytes(world: TreasuryWorld) -> None:
    await world.owe("ons_a")
    await world.cycles(world.sender(), 3)
    sent = world.chain.received[0]
    await world.forget()
    await world.owe("ons_a")
    await world.cycles(world.sender(), 3)
    transaction = await world.transaction("ons_a")
    assert transaction.adopted
    assert [attempt.raw for attempt in transaction.attempts] == [sent]


async def test_a_stolen_key_stops_signing_until_a_person_resolves_it(world: TreasuryWorld) -> None:
    await use_key(world, None)
    await world.owe("ons_one")
    sender = world.sender()
    await world.cycles(sender, 3)
    (row,) = await open_rows(world)
    assert (row.nonce, row.reference) == (0, None)
    assert world.signer.requests == []
    assert world.metrics.is_stopped
    async with world.database.write() as conn:
        assert await unmatched.resolve(conn, row.id, by="key_anna", note="my test", now=world.clock.now())
    await world.cycles(sender)
    assert await world.status("ons_one") is Status.FINAL
    assert (await world.transaction("ons_one")).nonce == 1


async def test_a_reference_spent_with_another_amount_is_never_paid_again(world: TreasuryWorld) -> None:
    await use_key(world, reference_of("ons_one"), amount=3 * MUSD)
    await world.owe("ons_one", 5 * MUSD)
    sender = world.sender()
    await world.cycles(sender, 3)
    (row,) = await open_rows(world)
    async with world.database.write() as conn:
        await unmatched.resolve(conn, row.id, by="key_anna", note="seen", now=world.clock.now())
    await world.cycles(sender, 3)
    payout = await world.payout("ons_one")
    assert (payout.status, payout.reason) == (Status.HELD, "reference_spent")
    assert len(world.chain.transfers()) == 1


async def test_a_payment_whose_logs_are_hidden_is_not_made_again(world: TreasuryWorld) -> None:
    await world.owe("ons_a")
    await world.cycles(world.sender(), 3)
    await world.forget()
    world.chain.hides_logs = True
    world.signer.requests.clear()
    await world.owe("ons_a")
    sender = world.sender()
    await world.cycles(sender, 6)
    assert world.signer.requests == []
    assert [row.tx_hash for row in await open_rows(world)] == [None]
    world.chain.hides_logs = False
    await world.cycles(sender, 8)
    assert await world.status("ons_a") is Status.FINAL
    assert len(world.chain.transfers()) == 1
    assert await open_rows(world) == []


async def test_a_nonce_used_by_someone_else_leaves_the_buyer_unpaid_with_an_alarm(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    world.chain.deaf = True
    sender = world.sender()
    await sender.step()
    await use_key(world, None)
    await world.cycles(sender, 3)
    payout = await world.payout("ons_one")
    assert (payout.status, payout.reason) == (Status.REVERTED, "displaced")
    assert world.metrics.alarms["payout_displaced"] == 1
    assert len(await open_rows(world)) == 1


async def test_a_nonce_used_for_something_other_than_tokens_is_found_however_late(world: TreasuryWorld) -> None:
    """A payment of BTC leaves no log. Until it is found, ledger and chain are not compared either."""
    await world.owe("ons_one")
    world.chain.deaf = world.chain.hides_logs = True
    sender = world.sender()
    await sender.step()
    world.chain.accept(
        (await KeySigner().sign(NativeTransferIntent(CHAIN_ID, WALLET, 0, SAFE, 5, 30_000, 10**9, 0))).raw
    )
    await world.cycles(sender, 20)
    assert (await world.status("ons_one"), world.metrics.alarms["nonce_taken"]) == (Status.SIGNED, 1)
    world.chain.hides_logs = False
    await world.cycles(sender, 2)
    assert (await world.payout("ons_one")).reason == "displaced"
    assert [row.nonce for row in await open_rows(world)] == [0]
    assert world.metrics.is_stopped


async def test_a_panic_that_took_another_amount_than_the_backup_knows_is_adopted(world: TreasuryWorld) -> None:
    panic = await world.sweep(100 * MUSD, kind=SweepKind.PANIC)
    sender = world.sender()
    await world.cycles(sender, 4)
    taken = (await world.swept(panic)).amount
    assert (taken > 100 * MUSD, world.chain.balance) == (True, 0)
    async with world.database.read() as conn:
        row = (await conn.execute(sa.select(sweeps))).mappings().one()
    before = {
        "status": Status.APPROVED,
        "amount": 100 * MUSD,
        "transaction_id": None,
        "tx_hash": None,
        "block_number": None,
    }
    await world.forget()
    async with world.database.write() as conn:
        await conn.execute(sa.insert(sweeps), [{**row, **before, "active_key": "BTC or MUSD"}])
    await world.cycles(world.sender(), 4)
    again = await world.swept(panic)
    assert (again.status, again.amount, await open_rows(world)) == (Status.FINAL, taken, [])


async def test_another_signature_for_the_same_payout_at_the_same_nonce_is_adopted(world: TreasuryWorld) -> None:
    await world.owe("ons_one", 5 * MUSD)
    world.chain.deaf = True
    sender = world.sender()
    await sender.step()
    await use_key(world, reference_of("ons_one"), amount=5 * MUSD)
    await world.cycles(sender, 4)
    assert await world.status("ons_one") is Status.FINAL
    assert (await world.payout("ons_one")).tx_hash == world.chain.transfers()[0].hash
    assert len((await world.transaction("ons_one")).attempts) == 2


async def test_a_nonce_below_a_known_one_is_explained_before_anything_is_signed(world: TreasuryWorld) -> None:
    """A wallet that leads again after another one did may know a later payment of its past, and not an earlier one."""
    for session in ("ons_a", "ons_b"):
        await world.owe(session)
        await world.cycles(world.sender(), 3)
    paid = {session: (await world.payout(session)).tx_hash for session in ("ons_a", "ons_b")}
    first = await world.transaction("ons_a")
    async with world.database.write() as conn:
        for table in (attempts, transactions):
            column = table.c.transaction_id if table is attempts else table.c.id
            await conn.execute(sa.delete(table).where(column == first.id))
        unpaid = {"status": Status.PLANNED, "transaction_id": None, "tx_hash": None, "block_number": None}
        await conn.execute(sa.update(payouts).where(payouts.c.session_id == "ons_a").values(**unpaid))
    world.signer.requests.clear()
    await world.owe("ons_new")
    await world.cycles(world.sender(), 8)
    assert {session: (await world.payout(session)).tx_hash for session in paid} == paid, "adopted, not paid again"
    assert [request.nonce for request in world.signer.requests] == [2]
    assert len(world.chain.transfers()) == 3
