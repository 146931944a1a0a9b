"""Outgoing webhooks with a clock that only the test moves, and receivers in this process."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.http.outbound import OutboundFailure, OutboundResponse, OutboundResult
from kit.worker import WorkerContext, WorkerMetrics
from onramp.hooks import messages as messages_service
from onramp.hooks import service as hooks_service
from onramp.hooks.attempts import Client
from onramp.hooks.event_types import EventType
from onramp.hooks.metrics import HookMetrics
from onramp.hooks.model import Endpoint
from onramp.hooks.table import EndpointStatus, deliveries, endpoints
from onramp.hooks.worker import WebhookWorker
from tests.support.clocks import ManualClock

RING = KeyRing([bytes(range(32))], "onramp")


@dataclass(frozen=True, slots=True)
class Received:
    """A request as a receiver got it."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> Any:
        return orjson.loads(self.body)


Answer = Callable[[Received], "OutboundResult | Awaitable[OutboundResult]"]


def answer(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
    return lambda _: OutboundResponse(status, headers or {}, body)


def fail(kind: Any = "connect") -> Answer:
    return lambda _: OutboundFailure(kind, "the receiver is away.")


@dataclass
class Receivers:
    """All receivers, by the beginning of their URLs. Implements `onramp.hooks.attempts.Client`."""

    clock: ManualClock
    answers: dict[str, Answer] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    open: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    """The most requests that were in flight at a time, by URL."""

    async def request(
        self, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> OutboundResult:
        assert method == "POST"
        request = Received(url, headers or {}, body or b"", self.clock.now())
        self.received.append(request)
        self.open[url] = self.open.get(url, 0) + 1
        self.most[url] = max(self.most.get(url, 0), self.open[url])
        try:
            await asyncio.sleep(0)
            result = self.answers.get(url, answer(200))(request)
            return await result if isinstance(result, Awaitable) else result
        finally:
            self.open[url] -= 1

    def at(self, url: str) -> list[Received]:
        return [request for request in self.received if request.url == url]


class HooksWorld:
    """The operations and a worker on a real database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = ManualClock()
        self.receivers = Receivers(self.clock)
        self.registry = CollectorRegistry()
        self.worker = self.make_worker("one", self.registry)

    def make_worker(
        self, owner: str, registry: CollectorRegistry | None = None, client: Client | None = None
    ) -> WebhookWorker:
        """Create a worker that sends with `client`, by default to the receivers in this process."""
        registry = registry or CollectorRegistry()
        context = WorkerContext(self.database, self.clock, WorkerMetrics(registry, "onramp"), owner)

        async def now(_conn: AsyncConnection) -> datetime:
            return self.clock.now()

        metrics = HookMetrics(registry)
        return WebhookWorker(
            context, client or self.receivers, RING, metrics, lambda: None, now=now, random=random.Random(1)
        )

    async def add(
        self, name: str = "a", events: Sequence[str] = ("*",), *, ed25519: bool = False, url: str = ""
    ) -> tuple[Endpoint, str]:
        async with self.database.write() as conn:
            return await hooks_service.create(
                conn, RING, endpoint_id=f"whk_{name}", url=url or f"https://{name}.example/hook", events=list(events),
                ed25519=ed25519, by="key_admin", now=self.clock.now(),
            )  # fmt: skip

    async def emit(self, count: int = 1, event: EventType = EventType.KEY_CREATED) -> list[str]:
        """Store messages to all enabled endpoints that want the event; return their ids."""
        async with self.database.write() as conn:
            ids = [s.id for s in await hooks_service.subscriptions(conn) if s.is_enabled]
            planned = [
                messages_service.render(event, f"key_{number}", self.clock.now(), {"id": f"key_{number}"})
                for number in range(count)
            ]
            await messages_service.store(conn, [(message, ids) for message in planned])
        return [message.id for message in planned]

    async def send(self, worker: WebhookWorker | None = None) -> None:
        """Send what is due now, once."""
        worker = worker or self.worker
        await worker.step()
        await worker.idle()

    async def pass_time(self, span: timedelta, step: timedelta) -> None:
        """Let time pass, and send what becomes due after each step."""
        end = self.clock.now() + span
        while self.clock.now() < end:
            self.clock.advance(step.total_seconds())
            await self.send()

    async def next_due(self) -> datetime | None:
        async with self.database.read() as conn:
            query = sa.select(sa.func.min(deliveries.c.due_at)).where(deliveries.c.status == "pending")
            moment: datetime | None = (await conn.execute(query)).scalar_one()
        return moment

    async def deliveries(self) -> list[Any]:
        async with self.database.read() as conn:
            query = sa.select(deliveries).order_by(deliveries.c.created_at, deliveries.c.id)
            return list((await conn.execute(query)).fetchall())

    async def endpoint(self, name: str = "a") -> Any:
        async with self.database.read() as conn:
            return (await conn.execute(sa.select(endpoints).where(endpoints.c.id == f"whk_{name}"))).one()

    async def change(self, name: str = "a", **values: Any) -> Endpoint:
        async with self.database.write() as conn:
            return await hooks_service.change(conn, RING, f"whk_{name}", by="key_admin", now=self.clock.now(), **values)

    async def enable(self, name: str = "a") -> Endpoint:
        return await self.change(name, status=EndpointStatus.ENABLED)


async def settled(condition: Callable[[], bool]) -> None:
    """Wait for a condition that other tasks of this process bring about."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)
