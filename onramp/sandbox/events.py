"""The webhook sender: signed for each attempt, retried, and able to misbehave as Stripe's is known to."""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import defaultdict
from typing import Any

import aiohttp
import orjson

from kit.clock import rfc3339
from onramp.sandbox.config import Chaos, SandboxConfig
from onramp.sandbox.store import Store


def signature(body: bytes, keys: tuple[str, ...], moment: int) -> str:
    """The header as Stripe writes it: one v1 for each active secret, and v0 noise; no spaces."""
    signed = str(moment).encode() + b"." + body
    pairs = [f"v1={hmac.digest(key.encode(), signed, hashlib.sha256).hex()}" for key in keys]
    return ",".join([f"t={moment}", *pairs, f"v0={secrets.token_hex(32)}"])


class Sender:
    """Delivers events to the one endpoint of the account."""

    def __init__(self, config: SandboxConfig, store: Store) -> None:
        """Nothing is sent before the first change."""
        self._config = config
        self._store = store
        self.chaos = Chaos()
        self.deliveries: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Stop sending."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def changed(self, session: dict[str, Any], how: str) -> None:
        """A session changed: make its event and deliver it `once`, `twice`, `late` or (`none`) not at all."""
        event = self._event(session)
        self._store.events.append(event)
        chaos = self.chaos
        if how == "none":
            return
        if chaos.lose:
            chaos.lose -= 1
            self.deliveries[session["id"]].append({"event": event["id"], "outcome": "lost"})
            return
        copies = [event, event] if how == "twice" or chaos.duplicate else [event]
        if chaos.twin:
            twin = self._event(session)
            self._store.events.append(twin)
            copies.append(twin)
        delay = chaos.delay + (2.0 if how == "late" else 0.0)
        for copy in reversed(copies) if chaos.reverse else copies:
            self._spawn(self._deliver(session["id"], copy, delay))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _event(self, session: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": "evt_" + secrets.token_hex(12),
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": int(time.time()),
            # A snapshot: what the session is now, whatever becomes of it before the event arrives.
            "data": {"object": orjson.loads(orjson.dumps(session))},
            "livemode": session["livemode"],
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": self._config.event_type,
        }

    async def _deliver(self, session_id: str, event: dict[str, Any], delay: float) -> None:
        if self._config.webhook_url is None:
            return
        if delay:
            await asyncio.sleep(delay)
        body = orjson.dumps(event)
        for attempt, wait in enumerate((0.0, *self._config.retry_seconds), start=1):
            await asyncio.sleep(wait)
            status = await self._post(body)
            self.deliveries[session_id].append(
                {
                    "event": event["id"],
                    "type": event["type"],
                    "sessionStatus": event["data"]["object"]["status"],
                    "attempt": attempt,
                    "status": status,
                    "at": rfc3339(_now()),
                }
            )
            if status is not None and 200 <= status < 300:
                return

    async def _post(self, body: bytes) -> int | None:
        moment, keys = int(time.time()), self._config.webhook_secrets
        if self.chaos.stale:
            self.chaos.stale -= 1
            moment -= 3600
        if self.chaos.wrong_secret:
            self.chaos.wrong_secret -= 1
            keys = ("whsec_wrong",)
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature(body, keys, moment)}
        try:
            async with self._session.post(
                self._config.webhook_url or "", data=body, headers=headers, allow_redirects=False
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return None


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)
