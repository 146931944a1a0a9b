"""A payout that another process wrote wakes the sender, once."""

from tests.support.hot_wallet import WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury.payouts.new_payouts import Arrivals


async def test_each_new_payout_wakes_the_sender_once_and_a_waiting_one_does_not_again(world: TreasuryWorld) -> None:
    woken: list[str] = []
    arrivals = Arrivals(world.database, WALLET, lambda: woken.append("treasury"))
    await arrivals.poll()
    assert woken == []
    await world.owe("ons_a")
    for _ in range(3):
        await arrivals.poll()
    assert len(woken) == 1
    world.clock.seconds += 1
    await world.owe("ons_b")
    await arrivals.poll()
    assert len(woken) == 2
    await world.cycles(world.sender(), 8)
    await arrivals.poll()
    assert len(woken) == 2, "nothing waits any more"
