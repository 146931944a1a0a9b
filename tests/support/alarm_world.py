"""Alarms of a service from their cause to the messages about them: stored by `Alarms`, sent by the worker to a fake Slack and PagerDuty."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from kit.alarms import service as alarms_service
from kit.alarms.alarms import Alarms
from kit.alarms.model import Ends
from kit.db.database import Database
from kit.heartbeats import service as heartbeats_service
from kit.http.outbound import OutboundClient
from kit.http.outbound_urls import OutboundRules
from kit.notices.targets import parse_targets
from kit.worker import WorkerContext, WorkerMetrics
from onramp.alarms.catalog import CATALOG
from onramp.notices.heartbeat import Heartbeat
from onramp.notices.senders import Senders
from onramp.notices.worker import NoticesWorker
from tests.support.clocks import ManualClock
from tests.support.notice_receivers import Receivers, receiving

KEY = "a" * 32
PROCESS = "one"


class AlarmNotices:
    """What raises, ends and notifies alarms in one process, with a clock that only the test moves."""

    def __init__(self, database: Database, clock: ManualClock, receivers: Receivers) -> None:
        registry, process = CollectorRegistry(), PROCESS
        self.database, self.clock = database, clock
        self.alarms = Alarms(database, clock, CATALOG, process=process, registry=registry, prefix="onramp")
        self._receivers = receivers
        http = OutboundClient(OutboundRules(development=True), seconds=5)
        targets = f"slack:HERE/slack?severity=info,pagerduty:{KEY}?severity=info&endpoint=HERE/pagerduty"
        self._worker = NoticesWorker(
            WorkerContext(database, clock, WorkerMetrics(registry, "onramp"), process),
            parse_targets(targets.replace("HERE", receivers.url)),
            Senders(http, None),
            http,
            Heartbeat("", http, database, (), clock),
            "docs/runbook.md",
        )

    async def notify(self) -> None:
        """Store what was raised and cleared; more than a minute later, end what is over, and send what is to be said."""
        await self.alarms.sync()
        self.clock.advance(61)
        async with self.database.write() as conn:
            await heartbeats_service.beat(conn, PROCESS, {"notices": 0.0})  # its own alarms would end without it
        await self._worker.step()
        await self._worker.settle()
        await self.alarms.sync()

    async def acknowledge(self, name: str) -> None:
        """Acknowledge all active alarms of a name, as a person does."""
        async with self.database.write() as conn:
            for alarm in await alarms_service.list_active(conn):
                if alarm.name == name:
                    await alarms_service.acknowledge(conn, alarm.id, CATALOG, "key_ada", self.clock.now())

    async def expect_raised(self, name: str) -> None:
        """Notify, and assert that Slack and PagerDuty got one message that the alarm is raised, with its severity."""
        await self.notify()
        assert (self.slack(name), self.pagerduty(name)) == ([f"[{CATALOG[name].severity.upper()}]"], ["trigger"])

    async def expect_ended(self, name: str) -> None:
        """Notify, and assert that both were told once that it has ended. An event, which has no end of its own, is acknowledged first."""
        if CATALOG[name].ends is Ends.EVENT:
            await self.acknowledge(name)
        await self.notify()
        begins = [f"[{CATALOG[name].severity.upper()}]", "[ENDED]"]
        assert (self.slack(name), self.pagerduty(name)) == (begins, ["trigger", "resolve"])

    def slack(self, name: str) -> list[str]:
        """Return how each message of Slack about an alarm begins: `[PAGE]`, `[TICKET]`, `[INFO]` or `[ENDED]`."""
        texts = [body["text"] for body in self._receivers.bodies["/slack"]]
        return [text.split(" ", 1)[0] for text in texts if text.split(" ")[1].strip() == name]

    def pagerduty(self, name: str) -> list[str]:
        """Return the actions of PagerDuty's events about an alarm; each `resolve` has the key of a `trigger`."""
        events: list[dict[str, Any]] = self._receivers.bodies["/pagerduty"]
        keys = {event["dedup_key"] for event in events if event.get("payload", {}).get("class") == name}
        return [event["event_action"] for event in events if event["dedup_key"] in keys]

    async def close(self) -> None:
        await self._worker.stop()


@asynccontextmanager
async def alarm_notices(database: Database, clock: ManualClock) -> AsyncIterator[AlarmNotices]:
    """Yield them with receivers that run while the block runs."""
    async with receiving() as receivers:
        notices = AlarmNotices(database, clock, receivers)
        try:
            yield notices
        finally:
            await notices.close()
