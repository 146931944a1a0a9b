"""A sweep or a version of the policy that begins to wait for a second person is notified once, with the command."""

import pytest
import sqlalchemy as sa

from kit.db.database import Database
from kit.notices.targets import parse_targets
from kit.outbox.service import Change
from onramp.notices import content
from onramp.notices.approvals import ApprovalNotices
from onramp.notices.table import notices, to_notice
from tests.support.clocks import ManualClock

TARGETS = parse_targets("slack:https://hooks.example/x,discord:https://hooks.example/y?severity=page")


@pytest.mark.parametrize(
    ("topic", "subject", "status", "command"),
    [
        ("sweep", "swp_1", "awaiting_approval", "onramp treasury approve swp_1"),
        ("policy", "pol_1", "proposed", "onramp treasury policy approve pol_1"),
    ],
)
async def test_what_begins_to_wait_is_notified_once(
    database: Database, topic: str, subject: str, status: str, command: str
) -> None:
    clock = ManualClock()
    consumer = ApprovalNotices(TARGETS, clock)
    new = {"status": status, "amount": "1500", "to_address": "0xabc"}
    changes = [
        Change(1, topic, subject, clock.now(), {"status": "planned"}, new),
        Change(2, topic, subject, clock.now(), {"status": status}, new),
        Change(3, topic, subject, clock.now(), {"status": status}, {"status": "approved"}),
    ]
    for _ in range(2):  # a plan that is repeated stores nothing more
        async with database.write() as conn:
            await consumer.plan(conn, changes)
    async with database.read() as conn:
        (row,) = (await conn.execute(sa.select(notices))).all()
    text = content.text(to_notice(row), TARGETS[0])
    assert text.startswith(f"[APPROVAL] {topic}.{status} {subject}\n") and f"Next: {command}\n" in text
    assert "1500" not in text and "0xabc" not in text
