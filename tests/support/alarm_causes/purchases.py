"""The causes of alarms about purchases: their deliveries on a scripted chain, and what Stripe says of them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from kit.crypto.keyring import KeyRing
from kit.ids import RandomIds
from kit.mail.mailer import Mailer
from kit.mail.message import Attachment, Mailbox
from kit.mail.server import SmtpServer
from kit.money import Money
from kit.worker import WorkerContext, WorkerMetrics
from onramp.bootstrap.factories import session_config
from onramp.buyer_mail import service as buyer_mail_service
from onramp.buyer_mail.letters import Letterhead
from onramp.buyer_mail.table import MailState
from onramp.buyer_mail.worker import BuyerMailMetrics, BuyerMailWorker
from onramp.config.loader import load
from onramp.deployment.service import OwnDeployment
from onramp.sessions import contacts, payment_searches
from onramp.sessions import service as sessions_service
from onramp.sessions.apply import apply
from onramp.sessions.ignored_sessions import IgnoredSessions
from onramp.sessions.model import Session, intent_row
from onramp.sessions.table import sessions
from onramp.sessions.unknown_purchases import UnknownPurchases
from onramp.stripe.port import StripeSession
from tests.support.alarm_causes.service import Place
from tests.support.fake_smtp import FakeSmtp, fake_smtp
from tests.support.receipts import BUYER, TX
from tests.support.scripted_deliveries import Shop
from tests.support.service import HOT_WALLET, SETTLEMENT

OTHER = "0x976EA74026E726554dB657fA54763abd0C3a0aa9"
CONFIG = session_config(load(HOT_WALLET_ADDRESS=HOT_WALLET, SETTLEMENT_ADDRESS=SETTLEMENT))


async def delivery_overdue(place: Place) -> AsyncIterator[None]:
    shop = Shop(place.database, place.clock)
    await shop.step(0)
    await shop.purchase()
    place.clock.advance(shop.rules.overdue_after.total_seconds())
    await shop.step()
    yield
    shop.chain.paid[TX] = shop.chain.head + 1
    for _ in range(2):
        await shop.step()
    await shop.pool.close()


async def delivery_mismatch(place: Place) -> AsyncIterator[None]:
    shop = await _confirmed(place, "seen")
    shop.chain.recipients[TX] = OTHER
    await shop.step()
    yield
    await shop.pool.close()


async def delivery_block_changed(place: Place) -> AsyncIterator[None]:
    shop = await _confirmed(place, "confirmed")
    shop.chain.reorg(2)
    await shop.step()
    yield
    await shop.pool.close()


async def _confirmed(place: Place, status: str) -> Shop:
    """Return a shop whose only delivery has this status."""
    shop = Shop(place.database, place.clock)
    await shop.step(0)
    await shop.purchase()
    shop.chain.paid[TX] = 101
    shop.chain.unindexed = {TX} if status == "seen" else set()
    for _ in range(3):
        row = await shop.step()
        if row.delivery_status == status:
            break
    assert row.delivery_status == status
    shop.chain.unindexed = set()
    return shop


async def session_not_owed(place: Place) -> AsyncIterator[None]:
    session, fact = await _paid(place)
    await _apply(place, session, replace(fact, destination_network="solana"))
    yield


async def session_earlier_wallet_named(place: Place) -> AsyncIterator[None]:
    session, fact = await _paid(place, hot_wallet=OTHER)
    async with place.database.write() as conn:  # as when a restore had lost the row
        await payment_searches.expect(conn, session.id, OTHER, place.clock.now())
    await _apply(place, session, fact)
    yield


async def deployment_unknown_purchases(place: Place) -> AsyncIterator[None]:
    deployment = OwnDeployment(place.database, place.clock, RandomIds())
    unknown = UnknownPurchases(place.database, CONFIG, deployment, IgnoredSessions(CollectorRegistry()), place.clock)
    _, fact = await _paid(place)
    lost = {**(fact.metadata or {}), "onramp_deployment": "dep_lost"}
    await unknown.report([replace(fact, metadata=lost)])
    yield
    await unknown.report([])


async def _paid(place: Place, **columns: Any) -> tuple[Session, StripeSession]:
    """Store a session that Stripe processes; return it with what Stripe says once it is paid."""
    deployment = await OwnDeployment(place.database, place.clock, RandomIds()).get()
    now = place.clock.now()
    row = intent_row(
        CONFIG, session_id="ons_1", wallet=BUYER, source=Money(100, "usd"), fee_bps=0, created_at=now, now=now
    )
    row |= {"stripe_session_id": "cos_1", "payment_status": "fulfillment_processing"}
    row |= {"deployment_id": deployment.id, "chain_id": CONFIG.chain_id, "hot_wallet": HOT_WALLET, **columns}
    async with place.database.write() as conn:
        await conn.execute(sa.insert(sessions).values(row))
        session = await sessions_service.get(conn, "ons_1")
    assert session is not None
    metadata = {
        "onramp_session_id": "ons_1", "onramp_deployment": deployment.id, "onramp_chain_id": str(CONFIG.chain_id),
        "onramp_hot_wallet": session.hot_wallet or "", "onramp_wallet": BUYER, "onramp_fee_bps": "0",
    }  # fmt: skip
    fact = StripeSession(
        id="cos_1", status="fulfillment_complete", created=int(now.timestamp()), livemode=False, client_secret=None,
        redirect_url=None, metadata=metadata, wallet_address=session.locked_address, wallet_addresses={},
        lock_wallet_address=True, source_amount="1.00", source_currency="usd", destination_amount="1.00",
        destination_currency=session.destination_currency, destination_currencies=(session.destination_currency,),
        destination_network=session.destination_network, destination_networks=(session.destination_network,),
    )  # fmt: skip
    return session, fact


async def _apply(place: Place, session: Session, fact: StripeSession) -> None:
    deployment = await OwnDeployment(place.database, place.clock, RandomIds()).get()
    async with place.database.write() as conn:
        applied = await apply(conn, session, fact, CONFIG, deployment, now=place.clock.now(), ids=RandomIds())
    assert applied.changed and applied.payout is None


async def mail_misconfigured(place: Place) -> AsyncIterator[None]:
    await _paid(place, payment_status="fulfillment_complete", has_email=True)
    ring, now = KeyRing([b"k" * 32], "onramp"), place.clock.now()
    async with place.database.write() as conn:
        await contacts.store(conn, ring, [("ons_1", "buyer@example.test")], now)
        await buyer_mail_service.plan(conn, [("ons_1", MailState.PAID)], now)
    registry = CollectorRegistry()
    context = WorkerContext(place.database, place.clock, WorkerMetrics(registry, "onramp"), "one")
    head = Letterhead(
        merchant="Shop", support=Mailbox("help@shop.example"), sender_domain="shop.example",
        base_url="https://pay.example", has_page=True, explorer=None,
    )  # fmt: skip

    async def receipt_of(session: Session) -> Attachment:
        raise AssertionError(session)

    async with fake_smtp(FakeSmtp(replies={"MAIL": "553 5.7.1 not yours"})) as smtp:
        mailer = Mailer(SmtpServer("127.0.0.1", smtp.port, "none"), Mailbox("a@shop.example"), place.clock, timeout=10)
        metrics = BuyerMailMetrics(registry)
        worker = BuyerMailWorker(context, mailer, ring, head, receipt_of, metrics, place.notices.alarms)
        await worker.step()
        yield
        smtp.replies.clear()
        place.clock.advance(3600)
        await worker.step()
        assert len(smtp.received) == 1
