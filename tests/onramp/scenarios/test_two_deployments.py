"""A completed purchase is paid by the deployment that sold it, once: not by another one, nor by a later wallet that does not know it."""

from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from kit.db.database import Database
from onramp.bootstrap.container import Container
from tests.support.clocks import OffsetClock
from tests.support.deployments import (
    UNIT,
    WORKERS,
    books_of,
    buy,
    buyer,
    complete,
    copy_session,
    funded,
    paying,
    payouts_of,
    row_of,
    until,
)
from tests.support.service import Service, replica
from tests.support.two_deployments import TwoDeployments
from treasury.core import hot_wallets
from treasury.earlier_payments import EarlierWalletReader

pytestmark = pytest.mark.starts_first

PAID = 99 * UNIT // 2


def counted(container: Container, reason: str) -> float:
    return container.registry.get_sample_value("onramp_sessions_ignored_total", {"reason": reason}) or 0


async def answer(service: Service, path: str) -> tuple[int, Any]:
    async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{path}") as reply:
        return reply.status, await reply.json(content_type=None)


async def test_another_deployment_on_the_account_pays_nothing_and_says_so(street: TwoDeployments) -> None:
    async with street.selling():
        made = [await street.sold(paid=True) for _ in range(2)]
    fact = street.a.sandbox.store.get(made[0]["payment"]["stripeSessionId"])
    metadata = fact["metadata"]
    assert (metadata["onramp_chain_id"], metadata["onramp_hot_wallet"]) == ("31611", street.wallets[0].address)
    assert metadata["onramp_deployment"].startswith("dep_")
    url, fresh = await street.database("dep_fresh")
    async with street.beside(url) as container:

        async def ignored() -> bool:
            return counted(container, "other_deployment") == 2

        await until(ignored)
        # A second read of the account, and an event about one of them, change nothing.
        assert await container.refresher.refresh(made[0]["payment"]["stripeSessionId"]) is None
        assert counted(container, "other_deployment") == 2
        await until(lambda: unknown(container, 2))
    assert await payouts_of(fresh) == []
    assert [await row_of(fresh, one["id"]) for one in made] == [None, None]
    assert [await street.received(one) for one in made] == [PAID, PAID]
    other = await street.start(url=url, **paying(street.chain, street.wallets[1]))
    async with aiohttp.ClientSession() as http:

        async def is_reported() -> Any:
            async with http.get(f"{other.api}/ready") as reply:
                parts = {part["name"]: part for part in (await reply.json())["parts"]}
                return not parts["deployment"]["ok"] and "DATABASE_URL" in parts["deployment"]["detail"]

        await until(is_reported)
    # Selling goes on.
    assert (await other.create(walletAddress=buyer()))[0] == 201


async def unknown(container: Container, count: int) -> bool:
    return bool(container.registry.get_sample_value("onramp_unknown_purchases") == count)


async def test_a_backup_and_a_new_wallet_adopt_what_the_wallet_before_paid(street: TwoDeployments) -> None:
    async with street.selling():
        made = await street.sold(paid=True)
    (paid,) = await payouts_of(street.a.database)
    url, backup = await street.database()
    async with street.beside(url) as container:
        await until(lambda: street.is_final(backup, made["id"]))

        async def confirmed() -> bool:
            return bool((await row_of(backup, made["id"])).delivery_status == "confirmed")

        await until(confirmed)
        async with backup.read() as conn:
            assert await hot_wallets.others(conn, 31611, container.rules.hot_wallet) == [street.wallets[0].address]
    (adopted,) = await payouts_of(backup)
    assert (adopted.wallet, adopted.tx_hash, adopted.amount) == (street.wallets[0].address, paid.tx_hash, PAID)
    assert adopted.block_number == paid.block_number
    books = await books_of(backup, street.wallets[0].address)
    assert books["paid_out"] == PAID
    assert books.get("available", 0) >= 0
    assert sum(books.values()) == 0
    assert (await row_of(backup, made["id"])).attention is None
    assert await street.received(made) == PAID
    # A start after it finds nothing left behind.
    async with street.beside(url):
        pass


async def test_a_backup_and_a_new_wallet_leave_to_a_person_what_was_not_paid(street: TwoDeployments) -> None:
    async with street.selling():
        made = await buy(street.a, buyer())
    street.complete(made)
    url, backup = await street.database()
    async with street.beside(url):

        async def is_reported() -> Any:
            row = await row_of(backup, made["id"])
            return row is not None and "no payment by it" in (row.attention or "")

        await until(is_reported)
    row = await row_of(backup, made["id"])
    assert street.wallets[0].address in row.attention
    assert (row.expected_units, row.delivered_units) == (None, 49_500_000)
    assert await payouts_of(backup) == []
    assert await street.received(made) == 0
    view = await street.start(url=url, **paying(street.chain, street.wallets[1]))
    status, body = await answer(view, made["id"])
    assert (status, body["status"], body["payment"]["status"]) == (200, "attention", "fulfillment_complete")
    for part in ("delivery", "receipt"):
        assert (await answer(view, f"{made['id']}/{part}"))[0] == 200
    headers = {"Accept": "application/pdf"}
    async with view.http.get(f"{view.api}/api/v1/onramp/sessions/{made['id']}/receipt", headers=headers) as paper:
        assert (paper.status, (await paper.read())[:4]) == (200, b"%PDF")


async def test_a_session_that_the_backup_holds_unpaid_is_not_paid_again_by_the_new_wallet(
    street: TwoDeployments,
) -> None:
    async with street.selling():
        made = await buy(street.a, buyer())
        url, backup = await street.database()
        await copy_session(street.a.database, backup, made["id"])
        street.complete(made)
        await until(lambda: street.is_final(street.a.database, made["id"]))
    async with street.beside(url):
        await until(lambda: street.is_final(backup, made["id"]))
    assert [row.wallet for row in await payouts_of(backup)] == [street.wallets[0].address]
    assert await street.received(made) == PAID


@pytest.mark.parametrize("source", ["stripe", "start"])
@pytest.mark.parametrize("now", ["first", "third"])
async def test_payments_of_an_intermediate_wallet_are_not_repeated_after_a_restore(
    street: TwoDeployments, now: str, source: str
) -> None:
    """Sold for one wallet and paid by the next, of which the backup knows nothing; then the first or a third one pays."""
    async with street.selling():
        made = await buy(street.a, buyer())
    url, backup = await street.database()
    await copy_session(street.a.database, backup, made["id"])
    street.complete(made)
    clock = OffsetClock()
    async with street.beside(street.url, clock):
        await until(lambda: is_searched(street.a.database, made["id"]))
        clock.ahead += timedelta(minutes=5)
        await until(lambda: street.is_final(street.a.database, made["id"]))
        if source == "stripe":
            settings = paying(street.chain, street.wallets[1], STRIPE_API_BASE=street.a.stripe)
            sold = await buy(await street.start(url=street.url, **settings), buyer())
            complete(street.a, sold)
            clock.ahead += timedelta(minutes=5)
            await until(lambda: street.is_final(street.a.database, sold["id"]))
    if source == "start":
        # As the runbook says: one start with each wallet that was used since the backup.
        async with replica(url, street.a, OffsetClock(), (), **paying(street.chain, street.wallets[1])):
            pass
    wallet = street.wallets[0] if now == "first" else await funded(street.chain, street.home / "c")
    async with replica(url, street.a, OffsetClock(), WORKERS, **paying(street.chain, wallet)):
        await until(lambda: street.is_final(backup, made["id"]))  # whichever wallet was taken to have paid it
    paid = {row.session_id: row.wallet for row in await payouts_of(backup)}
    assert set(paid.values()) == {street.wallets[1].address}
    assert await street.received(made) == PAID


async def test_an_adopted_payment_does_not_make_earlier_ones_known(street: TwoDeployments) -> None:
    """The wallet before paid two purchases since the backup, which lacks the second; that one is adopted first."""
    async with street.selling():
        first = await buy(street.a, buyer())
        url, backup = await street.database()
        await copy_session(street.a.database, backup, first["id"])
        street.complete(first)
        await until(lambda: street.is_final(street.a.database, first["id"]))
        second = await street.sold(paid=True)
    fact = street.a.sandbox.store.get(first["payment"]["stripeSessionId"])
    async with street.beside(url) as container:
        await container.refresher.refresh(second["payment"]["stripeSessionId"])
        await until(lambda: street.is_final(backup, second["id"]))
        wallets = EarlierWalletReader(
            container.pool, container.database, chain_id=31611, token=street.chain.deployment.musd
        )
        # The poller may adopt the first one in this very moment; only then is the wallet's past known.
        is_known = await wallets.is_known(street.wallets[0].address)
        assert not is_known or await street.is_final(backup, first["id"])
        await container.refresher.refresh(fact["id"])
        await until(lambda: street.is_final(backup, first["id"]))
        assert await wallets.is_known(street.wallets[0].address)
    assert {row.wallet for row in await payouts_of(backup)} == {street.wallets[0].address}
    assert [await street.received(one) for one in (first, second)] == [PAID, PAID]


async def is_searched(database: Database, session_id: str) -> bool:
    """Return whether the session is completed and no payout is owed for it yet."""
    row = await row_of(database, session_id)
    return row.payment_status == "fulfillment_complete" and row.expected_units is None


async def test_a_payment_that_the_nodes_do_not_report_waits_for_a_person_until_they_do(street: TwoDeployments) -> None:
    async with street.selling():
        made = await street.sold(paid=True)
    url, backup = await street.database()

    async def silent() -> Any:
        row = await row_of(backup, made["id"])
        return row is not None and "do not return enough" in (row.attention or "")

    nowhere = SecretStr("a=http://127.0.0.1:9,b=http://127.0.0.1:19")
    async with street.beside(url, MEZO_RPC_URLS=nowhere):
        await until(silent)
    assert await payouts_of(backup) == []
    clock = OffsetClock()
    clock.ahead += timedelta(minutes=2)
    async with street.beside(url, clock):
        await until(lambda: street.is_final(backup, made["id"]))
    assert (await row_of(backup, made["id"])).attention is None
    assert await street.received(made) == PAID
