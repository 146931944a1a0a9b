"""Measure the time from an alarm that is raised to its notification at a receiver, with the worker's own pauses."""

import asyncio
import random
import statistics
import time
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from kit.alarms.alarms import Alarms
from kit.clock import SystemClock
from kit.db.database import connect
from kit.http.outbound import OutboundClient
from kit.http.outbound_urls import OutboundRules
from kit.notices.targets import parse_targets
from kit.worker import WorkerContext, WorkerMetrics, WorkerRunner
from onramp import migrations
from onramp.alarms.catalog import CATALOG
from onramp.notices.heartbeat import Heartbeat
from onramp.notices.senders import Senders
from onramp.notices.worker import NoticesWorker
from tests.support.notice_receivers import receiving

ALARMS: Final = 100
BETWEEN: Final = 0.3
"""Seconds between two alarms, give or take half of it, so that they fall anywhere into the worker's pause."""
KEY: Final = "a" * 32


async def milliseconds(folder: Path) -> list[float]:
    """Return the milliseconds between raise and arrival of each alarm, the shortest first. PagerDuty gets each alarm by itself."""
    database, clock = connect(f"sqlite+aiosqlite:///{folder}/notices.db"), SystemClock()
    await migrations.upgrade(database)
    registry, http = CollectorRegistry(), OutboundClient(OutboundRules(development=True))
    alarms = Alarms(database, clock, CATALOG, process="bench", registry=registry, prefix="onramp")
    arrived: dict[str, float] = {}
    raised: dict[str, float] = {}
    async with receiving() as receivers:
        metrics = WorkerMetrics(registry, "onramp")
        worker = NoticesWorker(
            WorkerContext(database, clock, metrics, "bench"),
            parse_targets(f"pagerduty:{KEY}?endpoint={receivers.url}/pagerduty"),
            Senders(http, None),
            http,
            Heartbeat("", http, database, (), clock),
            "docs/runbook.md",
        )
        runner = WorkerRunner([worker], clock, metrics)
        alarms.stored = lambda: runner.wake(worker.name)
        alarms.start()
        runner.start()
        bodies = receivers.bodies["/pagerduty"]
        async with asyncio.timeout(120):
            for number in range(ALARMS):
                name = f"pump_{number}"
                raised[name] = time.perf_counter()
                alarms.raise_alarm("worker.missing", name)
                until = raised[name] + BETWEEN * random.uniform(0.5, 1.5)
                while time.perf_counter() < until or (number == ALARMS - 1 and len(bodies) < ALARMS):
                    await asyncio.sleep(0.002)
                    for body in bodies[len(arrived) :]:
                        arrived[body["payload"]["summary"].split()[1].rstrip(":")] = time.perf_counter()
        await runner.stop()
        await alarms.stop()
    await database.close()
    return sorted((arrived[name] - raised[name]) * 1000 for name in raised)


async def rows(folder: Path) -> list[tuple[str, ...]]:
    """Return the rows of the table."""
    spent = await milliseconds(folder)
    p50, p99 = statistics.median(spent), spent[int(len(spent) * 0.99)]
    return [
        ("alarm to notification on the wire, p50", f"{p50:.0f} ms", "", "", ""),
        (f"the same, p99 of {len(spent)}", f"{p99:.0f} ms", "", "", "<= 5 s"),
    ]
