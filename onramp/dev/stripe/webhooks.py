"""The webhook sender: signs each attempt, retries on a scaled clock, and can misbehave as Stripe's is known to."""

import asyncio
import hashlib
import hmac
import random
import secrets
import time
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import orjson

from kit.clock import rfc3339
from onramp.dev.stripe.config import SandboxConfig
from onramp.dev.stripe.faults import Chaos
from onramp.dev.stripe.session import Session, rendered
from onramp.dev.stripe.store import Rows

STALE_SECONDS: Final = 3600
API_VERSION: Final = "2026-10-28.endive"


def signature(body: bytes, secrets_: Sequence[str], moment: int) -> str:
    """Return the Stripe-Signature header: a v1 for each active secret, and a random v0; no spaces."""
    signed = str(moment).encode() + b"." + body
    pairs = [f"v1={hmac.digest(key.encode(), signed, hashlib.sha256).hex()}" for key in secrets_]
    return ",".join([f"t={moment}", *pairs, f"v0={secrets.token_hex(32)}"])


@dataclass(slots=True)
class Endpoint:
    """The endpoint that receives events; without a URL none are sent."""

    url: str | None
    secrets: tuple[str, ...] = field(repr=False)


class Sender:
    """Records the account's events and delivers them to its one endpoint."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self.endpoint = Endpoint(config.webhook_url, config.webhook_secrets)
        self.chaos = Chaos()
        self.events = Rows("event")
        self.delivered: set[str] = set()
        self.deliveries: dict[str, list[dict[str, Any]]] = defaultdict(list)
        """The delivery attempts of each session, by its id, in the order in which they ended."""
        self._last_queued: dict[str, asyncio.Event] = {}
        self._http: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Cancel the deliveries that have not ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    def record(self, session: Session) -> dict[str, Any]:
        """Record the event of a change, with a snapshot of the session as it is now."""
        event = {
            "id": "evt_" + secrets.token_hex(12),
            "object": "event",
            "api_version": API_VERSION,
            "created": int(time.time()),
            "data": {"object": orjson.loads(orjson.dumps(rendered(session, self._config.api_surface)))},
            "livemode": session["livemode"],
            "pending_webhooks": 1 if self.endpoint.url is not None else 0,
            "request": {"id": None, "idempotency_key": None},
            "type": self._config.event_type,
        }
        self.events.add(event)
        return event

    def send(self, session: Session, events: Sequence[dict[str, Any]], how: str) -> None:
        """Deliver events `once`, `twice`, `late` or not at all (`none`), with the chaos that is set."""
        if how == "none" or self.endpoint.url is None:
            return
        chaos = self.chaos
        copies: list[dict[str, Any]] = []
        for event in events:
            if chaos.lose or random.random() < chaos.lose_rate:
                chaos.lose = max(0, chaos.lose - 1)
                self._log(session["id"], event, 0, None, "lost")
                continue
            is_doubled = how == "twice" or chaos.duplicate or random.random() < chaos.duplicate_rate
            copies += [event, event] if is_doubled else [event]
            if chaos.twin:
                twin = event | {"id": "evt_" + secrets.token_hex(12)}
                self.events.add(twin)
                copies.append(twin)
        for event in reversed(copies) if chaos.reverse else copies:
            delay = chaos.delay + (self._config.late_seconds if how == "late" else 0.0)
            self._queue(session["id"], event, delay + random.uniform(0, chaos.jitter), chaos.jitter == 0)

    def resend(self, event: dict[str, Any]) -> None:
        """Deliver an event again, like the Dashboard's resend."""
        self._spawn(self._deliver(event["data"]["object"]["id"], event, 0.0, None, asyncio.Event()))

    def _queue(self, session_id: str, event: dict[str, Any], delay: float, in_order: bool) -> None:
        """Start a delivery; with `in_order` its first attempt waits for the first attempt of the session's previous event."""
        attempted = asyncio.Event()
        previous = self._last_queued.get(session_id) if in_order else None
        self._last_queued[session_id] = attempted
        self._spawn(self._deliver(session_id, event, delay, previous, attempted))

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(
        self,
        session_id: str,
        event: dict[str, Any],
        delay: float,
        previous: asyncio.Event | None,
        attempted: asyncio.Event,
    ) -> None:
        body = orjson.dumps(event)
        try:
            await asyncio.sleep(delay)
            if previous is not None:
                await previous.wait()
            done = await self._attempt(session_id, event, body, 1)
        finally:
            attempted.set()
            if self._last_queued.get(session_id) is attempted:
                del self._last_queued[session_id]
        for attempt, wait in enumerate(self._config.retries, start=2):
            if done:
                return
            await asyncio.sleep(wait / self._config.clock_scale)
            done = await self._attempt(session_id, event, body, attempt)

    async def _attempt(self, session_id: str, event: dict[str, Any], body: bytes, attempt: int) -> bool:
        status, outcome = await self._post(body)
        self._log(session_id, event, attempt, status, outcome)
        if outcome == "delivered":
            self.delivered.add(event["id"])
            event["pending_webhooks"] = 0
        return outcome == "delivered"

    async def _post(self, body: bytes) -> tuple[int | None, str]:
        moment, keys = int(time.time()), self.endpoint.secrets
        if self.chaos.stale:
            self.chaos.stale -= 1
            moment -= STALE_SECONDS
        if self.chaos.wrong_secret:
            self.chaos.wrong_secret -= 1
            keys = ("whsec_wrong",)
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=self._config.webhook_timeout_seconds)
            self._http = aiohttp.ClientSession(timeout=timeout)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(body, keys, moment),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            async with self._http.post(
                self.endpoint.url or "", data=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status, "delivered" if 200 <= response.status < 300 else "refused"
        except TimeoutError:
            return None, "timeout"
        except aiohttp.ClientError:
            return None, "unreachable"

    def _log(self, session_id: str, event: dict[str, Any], attempt: int, status: int | None, outcome: str) -> None:
        self.deliveries[session_id].append(
            {
                "event": event["id"],
                "type": event["type"],
                "sessionStatus": event["data"]["object"]["status"],
                "attempt": attempt,
                "status": status,
                "outcome": outcome,
                "at": rfc3339(datetime.now(UTC)),
            }
        )
