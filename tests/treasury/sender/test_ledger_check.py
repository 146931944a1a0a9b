"""The leader compares ledger and chain at one block while a busy pipeline goes on, and discards a view that became stale."""

from tests.support.hot_wallet import HOT_WALLET, MUSD, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury import reconciliation
from treasury.core.status import Status
from treasury.ledger import service as ledger_service
from treasury.ledger.states import Account
from treasury.ports import WalletView
from treasury.sender import Sender


async def rush(world: TreasuryWorld, sender: Sender, rounds: int, first: int) -> None:
    """Mine a block in each round, each with a transaction that cannot be proved yet."""
    for number in range(first, first + rounds):
        await world.owe(f"ons_{number}", MUSD)
        while await sender.step():
            pass
        world.clock.seconds += 4
        world.chain.mine(1)
        async with world.database.read() as conn:
            assert await reconciliation.has_unsettled(conn, HOT_WALLET, await world.chain.view())


async def test_ledger_and_chain_are_compared_under_a_busy_pipeline(world: TreasuryWorld) -> None:
    world.chain.room = 10
    sender = world.sender(max_in_flight=4)
    await rush(world, sender, 40, 0)
    assert world.metrics.differences == {"MUSD": 0, "BTC": world.metrics.differences["BTC"]}
    assert not world.metrics.is_stopped
    async with world.database.read() as conn:
        posted = [row.kind for row in await ledger_service.page(conn, [WALLET], limit=500) if row.subject == WALLET]
    assert set(posted) <= {
        "opening",
        "top_up",
    }  # the scripted chain charges no gas, so the ledger sees the posted gas costs come back as a top-up
    world.chain.balance -= 3 * MUSD
    before = len(world.signer.requests)
    for number in range(100, 120):
        await world.owe(f"ons_{number}", MUSD)
        await world.cycles(sender, 1)
    assert world.metrics.differences["MUSD"] == 3 * MUSD
    assert world.metrics.alarms["ledger_difference"] == 1
    assert len(world.signer.requests) < before + 20


async def test_a_top_up_after_the_view_is_left_to_the_next_comparison(world: TreasuryWorld) -> None:
    world.chain.room = 10
    sender = world.sender(max_in_flight=4)
    await rush(world, sender, 3, 0)
    world.clock.seconds += 60
    await sender.step()
    world.chain.balance += 7 * MUSD
    await rush(world, sender, 40, 3)
    await world.cycles(sender, 8)
    async with world.database.read() as conn:
        books = await ledger_service.balances(conn, WALLET, "MUSD")
    assert books[Account.EXTERNAL_IN] == -(1_000_000 + 7) * MUSD
    assert world.metrics.differences["MUSD"] == 0


async def test_a_comparison_at_an_older_block_than_the_last_posts_nothing(world: TreasuryWorld) -> None:
    async def compare_at(balance: int, block: int) -> int:
        async with world.database.write() as conn:
            now = world.clock.now()
            return (await reconciliation.reconcile(conn, WALLET, "MUSD", balance, block, now=now)).change

    assert await compare_at(100, 1) == 100
    assert await compare_at(130, 9) == 30
    assert await compare_at(130, 5) == 0  # the same thirty, seen at an earlier block than the one they were posted with
    assert await compare_at(120, 10) == -10


async def test_a_view_of_a_branch_that_is_gone_is_discarded(world: TreasuryWorld) -> None:
    await world.owe("ons_1")
    await world.cycles(world.sender(), 8)
    paid = await world.transaction("ons_1")
    assert paid.status is Status.FINAL
    assert paid.block_number is not None
    async with world.database.read() as conn:
        for block, untrue in ((paid.block_number - 1, True), (paid.block_number, False)):
            view = WalletView(1, 0, 0, block)
            assert await reconciliation.view_is_stale(conn, HOT_WALLET, view) is untrue
