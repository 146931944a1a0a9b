"""Each state of a purchase is mailed once, to the address stored at that moment, whatever fails in between."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.mail.mailer import Mailer
from kit.mail.message import Attachment, Mailbox
from kit.mail.server import SmtpServer
from kit.money import Money
from kit.outbox import service as outbox_service
from kit.outbox.service import Change
from kit.worker import WorkerContext, WorkerMetrics
from onramp.buyer_mail import service as buyer_mail_service
from onramp.buyer_mail.letters import Letterhead
from onramp.buyer_mail.planner import NAME, BuyerMailPlanner
from onramp.buyer_mail.service import TRIED_FOR
from onramp.buyer_mail.table import buyer_mails
from onramp.buyer_mail.worker import MISCONFIGURED_SECONDS, BuyerMailMetrics, BuyerMailWorker
from onramp.ops import pruning
from onramp.privacy import service as privacy_service
from onramp.sessions import contacts
from onramp.sessions.model import Session, intent_row
from onramp.sessions.table import sessions
from tests.support.clocks import ManualClock
from tests.support.fake_smtp import FakeSmtp, fake_smtp
from tests.support.paid_sessions import OBSERVE_CONFIG
from tests.support.purchases import BUYER

HEAD = Letterhead(
    merchant="Shop", support=Mailbox("help@shop.example"), sender_domain="shop.example", base_url="https://pay.example",
    has_page=True, explorer=None,
)  # fmt: skip
RING = KeyRing([b"k" * 32], "onramp")
PAID: dict[str, Any] = {"payment_status": "fulfillment_complete"}
DELIVERED = PAID | {"delivery_status": "confirmed", "tx_hash": "0x" + "ab" * 32, "received_units": 10**18}


class Death(BaseException):
    """The process ends here: nothing that it would do next happens."""


@dataclass
class Post:
    """A database with purchases, an SMTP server, and workers that send."""

    database: Database
    smtp: FakeSmtp
    clock: ManualClock = field(default_factory=ManualClock)
    planned: list[Change] = field(default_factory=list)

    async def buy(self, session_id: str, email: str | None = "buyer@example.test", **columns: Any) -> None:
        now = self.clock.now()
        row = intent_row(
            OBSERVE_CONFIG, session_id=session_id, wallet=BUYER, source=Money(100, "usd"), fee_bps=0, created_at=now, now=now
        )  # fmt: skip
        async with self.database.write() as conn:
            await conn.execute(sa.insert(sessions).values(**row | {"has_email": email is not None} | columns))
            await contacts.store(conn, RING, [] if email is None else [(session_id, email)], now)

    async def change(self, session_id: str, **columns: Any) -> None:
        async with self.database.write() as conn:
            await conn.execute(
                sa.update(sessions).where(sessions.c.id == session_id).values(version=sessions.c.version + 1, **columns)
            )

    async def plan(self) -> None:
        async with self.database.write() as conn:
            taken = await outbox_service.take(conn, 1_000)
            await BuyerMailPlanner(self.clock).plan(conn, taken)
        self.planned += taken

    def worker(self, owner: str = "one") -> BuyerMailWorker:
        registry = CollectorRegistry()
        server = SmtpServer("127.0.0.1", self.smtp.port, "none")
        mailer = Mailer(server, Mailbox("orders@shop.example"), self.clock, timeout=10)

        async def receipt_of(session: Session) -> Attachment:
            return Attachment("receipt.pdf", "application/pdf", session.id.encode())

        context = WorkerContext(self.database, self.clock, WorkerMetrics(registry, "onramp"), owner)
        return BuyerMailWorker(context, mailer, RING, HEAD, receipt_of, BuyerMailMetrics(registry))

    async def send(self, worker: BuyerMailWorker | None = None) -> None:
        worker = worker or self.worker()
        while await worker.step():
            pass

    async def rows(self) -> dict[str, tuple[str, str | None]]:
        async with self.database.read() as conn:
            query = sa.select(buyer_mails).order_by(buyer_mails.c.created_at, buyer_mails.c.id)
            return {row.id: (row.status, row.reason) for row in await conn.execute(query)}

    @property
    def sent(self) -> list[str]:
        """The ids of the messages that the server accepted, in order, without the domain."""
        return [str(item.message["Message-ID"]).strip("<>").partition("@")[0] for item in self.smtp.received]


@pytest.fixture
async def post(database: Database) -> AsyncIterator[Post]:
    async with database.write() as conn:
        await outbox_service.subscribe(conn, NAME, {"session"})
    async with fake_smtp() as smtp:
        yield Post(database, smtp)


async def test_each_state_is_mailed_once_whatever_is_replayed(post: Post) -> None:
    await post.buy("ons_1")
    for columns in (PAID, {"confirmations": 1}, {"overdue": True}, {"overdue": False}, {"overdue": True}, DELIVERED):
        await post.change("ons_1", **columns)
        await post.plan()
        async with post.database.write() as conn:
            await BuyerMailPlanner(post.clock).plan(conn, post.planned)
        await post.send()
    assert post.sent == ["ons_1.paid", "ons_1.attention", "ons_1.delivered"], await post.rows()
    (receipt,) = post.smtp.received[2].message.iter_attachments()
    assert receipt.get_content() == b"ons_1"
    assert {status for status, _ in (await post.rows()).values()} == {"sent"}


async def test_without_an_address_and_for_what_was_so_before_there_is_no_mail(post: Post) -> None:
    await post.buy("ons_1", None, **PAID)
    async with post.database.write() as conn:
        await outbox_service.subscribe(conn, NAME, ())
    await post.buy("ons_2", **DELIVERED)
    async with post.database.write() as conn:
        await outbox_service.subscribe(conn, NAME, {"session"})
    await post.change("ons_2", confirmations=9)
    await post.change("ons_1", **DELIVERED)
    await post.plan()
    assert len(post.planned) == 3 and await post.rows() == {}


async def test_two_workers_send_each_mail_once(post: Post) -> None:
    for number in range(9):
        await post.buy(f"ons_{number}", **PAID)
    await post.plan()
    await asyncio.gather(post.send(post.worker("one")), post.send(post.worker("two")))
    await post.send(post.worker("three"))
    assert sorted(post.sent) == [f"ons_{number}.paid" for number in range(9)]


async def test_a_crash_after_the_servers_acceptance_repeats_the_mail_under_the_same_id(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post.buy("ons_1", **PAID)
    await post.plan()

    async def dies(*_: object) -> bool:
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr(buyer_mail_service, "end", dies)
        with pytest.raises(Death):
            await post.send()
    await post.send(post.worker("two"))
    assert post.sent == ["ons_1.paid"], "the lease of the dead process still lasts"
    async with post.database.write() as conn:
        await conn.execute(sa.update(buyer_mails).values(lease_until=None))
    await post.send(post.worker("two"))
    assert post.sent == ["ons_1.paid", "ons_1.paid"]
    assert (await post.rows())["ons_1/paid"] == ("sent", None)


async def test_an_erased_person_gets_no_mail_and_no_row_holds_an_address(post: Post) -> None:
    await post.buy("ons_1", "erased.person@example.test", **PAID)
    await post.plan()
    async with post.database.read() as conn:
        stored = repr((await conn.execute(sa.select(buyer_mails))).fetchall())
    async with post.database.write() as conn:
        await privacy_service.erase(conn, BUYER, by="operator", now=post.clock.now())
    with capture_logs() as log:
        await post.send()
    assert post.smtp.attempts == []
    assert (await post.rows())["ons_1/paid"] == ("dropped", "no address of the buyer is stored any more")
    assert "erased.person" not in stored + repr(log)


async def test_a_refused_recipient_stops_no_other_mail_and_is_not_tried_again(post: Post) -> None:
    post.smtp.replies["refused.person@example.test"] = "550 5.1.1 <refused.person@example.test>: unknown"
    await post.buy("ons_1", "refused.person@example.test", **PAID)
    await post.buy("ons_2", "not an,address@example.test", **PAID)
    await post.buy("ons_3", **PAID)
    await post.plan()
    with capture_logs(processors=[merge_contextvars]) as log:
        for _ in range(2):
            await post.send()
            post.clock.advance(7_200)
    assert post.sent == ["ons_3.paid"] and len(post.smtp.attempts) == 2
    rows = await post.rows()
    assert [rows[f"ons_{number}/paid"][0] for number in (1, 2, 3)] == ["refused", "refused", "sent"]
    assert "person" not in repr(rows) + repr(log)
    assert sorted(line["session"] for line in log if line["event"] == "mail.refused") == ["ons_1", "ons_2"]


async def test_a_temporary_failure_is_tried_again_ever_more_rarely_for_a_day(post: Post) -> None:
    post.smtp.replies["buyer@example.test"] = "450 4.2.1 greylisted"
    await post.buy("ons_1", **PAID)
    await post.plan()
    at = []
    while (await post.rows())["ons_1/paid"][0] == "pending":
        at.append(post.clock.seconds)
        await post.send()
        await post.send()
        async with post.database.read() as conn:
            due = (await conn.execute(sa.select(buyer_mails.c.due_at))).scalar_one()
        post.clock.seconds = max(post.clock.seconds, (due - post.clock.epoch).total_seconds())
    assert len(post.smtp.attempts) == len(at), "no attempt before its time"
    assert (await post.rows())["ons_1/paid"][0] == "given_up"
    assert at[0] == 0 and at[1] <= 90 and 25 <= len(at) <= 70
    assert TRIED_FOR.total_seconds() - 3_700 <= at[-1] <= TRIED_FOR.total_seconds()
    assert max(later - earlier for earlier, later in itertools.pairwise(at)) <= 3_700

    del post.smtp.replies["buyer@example.test"]
    await post.buy("ons_2", **PAID)
    await post.plan()
    await post.send()
    assert post.sent == ["ons_2.paid"]


async def test_a_server_that_refuses_the_sender_is_left_alone_for_a_while(post: Post) -> None:
    post.smtp.replies["MAIL"] = "553 5.7.1 not yours"
    for number in range(9):
        await post.buy(f"ons_{number}", **PAID)
    await post.plan()
    worker = post.worker()
    with capture_logs() as log:
        await post.send(worker)
        await post.send(worker)
    (level,) = [line["log_level"] for line in log if line["event"] == "mail.misconfigured"]
    assert level == "critical" and post.smtp.attempts == []
    post.smtp.replies.clear()
    await post.send(worker)
    assert post.sent == []
    for _ in range(4):
        post.clock.advance(MISCONFIGURED_SECONDS)
        await post.send(worker)
    assert len(post.sent) == 9


async def test_what_is_no_longer_true_is_not_sent_and_a_reorg_delays_the_delivery(post: Post) -> None:
    await post.buy("ons_1", **PAID)
    await post.buy("ons_2", **PAID)
    await post.change("ons_1", **DELIVERED)
    await post.change("ons_2", **DELIVERED)
    await post.plan()
    await post.change("ons_2", delivery_status="seen")
    await post.send()
    assert sorted(post.sent) == ["ons_1.delivered", "ons_2.paid"]
    rows = await post.rows()
    assert rows["ons_1/paid"] == ("dropped", "the purchase has moved on")
    assert rows["ons_2/delivered"] == ("pending", "the delivery is being confirmed again")
    await post.change("ons_2", delivery_status="confirmed")
    post.clock.advance(120)
    await post.send()
    assert sorted(post.sent) == ["ons_1.delivered", "ons_2.delivered", "ons_2.paid"]


async def test_the_mails_of_a_pruned_purchase_go_with_it(post: Post) -> None:
    await post.buy("ons_1", attention="look")
    await post.plan()
    await post.send()
    assert post.sent == ["ons_1.attention"]
    await post.change("ons_1", attention=None, payment_status="expired")
    before = post.clock.now() + timedelta(days=60)
    assert await pruning.prune(post.database, before, by="janitor", now=before) == 1
    assert await post.rows() == {}
