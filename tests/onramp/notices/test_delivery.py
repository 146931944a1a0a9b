"""Notifications by mail, the command that tests each target, and how soon an alarm is on the wire."""

import json
import time

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from kit.alarms import service as alarms_service
from kit.clock import SystemClock
from kit.db.database import Database
from kit.http.outbound import OutboundClient
from kit.http.outbound_urls import OutboundRules
from kit.mail.mailer import Mailer
from kit.mail.message import Mailbox
from kit.mail.server import SmtpServer
from kit.notices.targets import parse_targets
from kit.worker import WorkerContext, WorkerMetrics
from onramp.cli.notices import _send
from onramp.config.loader import load
from onramp.notices.heartbeat import Heartbeat
from onramp.notices.senders import Senders
from onramp.notices.table import notices
from onramp.notices.worker import NoticesWorker
from tests.support.fake_smtp import FakeSmtp, fake_smtp
from tests.support.notice_receivers import receiving


async def test_one_refused_recipient_does_not_keep_mail_from_another(database: Database) -> None:
    async with fake_smtp(FakeSmtp(replies={"gone@shop.example": "550 5.1.1 no such user"})) as smtp:
        clock, http = SystemClock(), OutboundClient(OutboundRules())
        mailer = Mailer(SmtpServer("127.0.0.1", smtp.port, "none"), Mailbox("alarms@shop.example"), clock, timeout=10)
        worker = NoticesWorker(
            WorkerContext(database, clock, WorkerMetrics(CollectorRegistry(), "onramp"), "one"),
            parse_targets("mailto:gone@shop.example,mailto:ops@shop.example"),
            Senders(http, mailer),
            http,
            Heartbeat("", http, database, (), clock),
            "docs/runbook.md",
        )
        async with database.write() as conn:
            await alarms_service.raise_in(conn, "delivery.overdue", "ons_1", clock.now(), session="ons_1")
        await worker.step()
        await worker.settle()
        await worker.stop()
        (mail,) = smtp.received
    assert mail.recipient == "ops@shop.example"
    assert mail.message["Subject"] == "[PAGE] delivery.overdue ons_1"
    assert "Next: onramp sessions show ons_1\n" in mail.part("text/plain")
    async with database.read() as conn:
        rows = (await conn.execute(sa.select(notices.c.target, notices.c.status, notices.c.error))).all()
    assert {(row.target, row.status) for row in rows} == {("mailto-1", "given_up"), ("mailto-2", "sent")}
    assert "gone@" not in repr(rows)


async def test_the_test_command_reports_each_target(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receivers:
        urls = f"slack:{receivers.url}/slack,discord:http://127.0.0.1:9/hidden?name=broken"
        monkeypatch.setenv("NOTICE_URLS", urls)
        results = dict(await _send(load()))
        (body,) = receivers.bodies["/slack"]
    assert body["text"].startswith("[TEST] notices.test slack-1\n")
    assert results["slack-1"] == "" and results["broken"] and "hidden" not in json.dumps(results)


async def test_an_alarm_is_on_the_wire_within_seconds(database: Database) -> None:
    clock = SystemClock()
    async with receiving() as receivers:
        http = OutboundClient(OutboundRules(development=True))
        worker = NoticesWorker(
            WorkerContext(database, clock, WorkerMetrics(CollectorRegistry(), "onramp"), "one"),
            parse_targets(f"slack:{receivers.url}/slack"),
            Senders(http, None),
            http,
            Heartbeat("", http, database, (), clock),
            "docs/runbook.md",
        )
        started = time.monotonic()
        async with database.write() as conn:
            await alarms_service.raise_in(conn, "delivery.overdue", "ons_1", clock.now())
        await worker.step()
        await worker.settle()
        assert len(receivers.bodies["/slack"]) == 1
        assert time.monotonic() - started + worker.interval < 5
        await worker.stop()
