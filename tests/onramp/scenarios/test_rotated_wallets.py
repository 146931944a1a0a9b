"""A purchase that is paid at Stripe after the hot wallet was rotated: the new wallet pays it once the old one cannot."""

from datetime import timedelta

import pytest

from kit.ids import RandomIds
from tests.support.clocks import OffsetClock
from tests.support.deployments import buy, buyer, paying, payouts_of, row_of, until
from tests.support.two_deployments import PAID, TwoDeployments
from treasury.core.hot_wallets import HotWallet
from treasury.restores import service as restores_service
from treasury.restores.model import Source

pytestmark = pytest.mark.starts_first


async def test_a_late_payment_after_a_rotation_is_paid_by_the_new_wallet(street: TwoDeployments) -> None:
    async with street.selling():
        await street.sold(paid=True)
        made = await buy(street.a, buyer())
    street.complete(made)
    clock = OffsetClock()
    async with street.beside(street.url, clock):

        async def searched_wallets() -> bool:
            row = await row_of(street.a.database, made["id"])
            return row.payment_status == "fulfillment_complete" and row.expected_units is None

        await until(searched_wallets)
        clock.ahead += timedelta(minutes=5)
        await until(lambda: street.is_final(street.a.database, made["id"]))
    paid = {row.session_id: row.wallet for row in await payouts_of(street.a.database)}
    assert paid[made["id"]] == street.wallets[1].address
    assert await street.received(made) == PAID


@pytest.mark.parametrize("sold_by", ["first", "second"])
async def test_nothing_is_paid_for_a_wallet_that_may_still_pay_it(street: TwoDeployments, sold_by: str) -> None:
    """What the first wallet signed before a restore may be mined until its nonces are spent, whichever wallet sold the purchase."""
    async with street.selling():
        await street.sold(paid=True)
    wallet = HotWallet(31611, street.wallets[0].address)
    clock, ids = OffsetClock(), RandomIds()
    if sold_by == "first":
        made = await buy(street.a, buyer())
    else:
        settings = paying(street.chain, street.wallets[1], STRIPE_API_BASE=street.a.stripe)
        later = await street.start(url=street.url, **settings)
        async with street.beside(street.url):  # it reads the second wallet's balance, without which nothing is sold
            made = await buy(later, buyer())
    street.complete(made)
    async with street.a.database.write() as conn:
        restore = await restores_service.declare(
            conn, wallet, Source.DECLARED, depth=1, by="local", note="", now=clock.now(), ids=ids
        )
    async with street.beside(street.url, clock):

        async def is_left_to_persons() -> bool:
            return "may still pay" in ((await row_of(street.a.database, made["id"])).attention or "")

        await until(is_left_to_persons)
        assert len(await payouts_of(street.a.database)) == 1
        async with street.a.database.write() as conn:
            await restores_service.finish(conn, restore, by="local", now=clock.now())
        clock.ahead += timedelta(hours=2)
        await until(lambda: street.is_final(street.a.database, made["id"]))
    assert await street.received(made) == PAID
