"""Receive events: verify the raw bytes, store the event durably, and only then acknowledge it."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram

from kit.alarms.alarms import LocalAlarms
from kit.batching import GroupCommit
from kit.clock import Clock
from kit.db.database import Database
from kit.http.forwarded import Network, client_ip, is_within
from kit.http.parsing import KIB, read_body
from kit.http.problems import Problem
from onramp.webhooks import service as webhooks_service
from onramp.webhooks.event import MalformedEvent, parse_event
from onramp.webhooks.signature import WebhookSignatureInvalid, verify

MAX_REFUSED_IN_ROW: Final = 3
"""How many signed events in a row must be refused to show that the configured secret is not Stripe's, or the clock is wrong."""
OUTCOMES: Final = ("stored", "duplicate", "ignored", "refused")
BODY_LIMIT = 1024 * KIB


@lru_cache(maxsize=64)
def _utc(seconds: int) -> datetime:
    # Cached: events of the same second share one value, which is then serialized once for all rows of a group.
    return datetime.fromtimestamp(seconds, UTC)


class WebhookMetrics:
    """The metrics of Stripe's events: outcomes at intake, and their age when handled."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter("onramp_webhook_events_total", "Events by outcome.", ("outcome",), registry=registry)
        for outcome in OUTCOMES:
            self.events.labels(outcome)
        self.age = Histogram(
            "onramp_webhook_event_age_seconds",
            "From receipt to handled.",
            registry=registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200),
        )


class Intake:
    """Receives Stripe's events, and stores each once."""

    def __init__(
        self,
        database: Database,
        secrets: Sequence[str],
        clock: Clock,
        metrics: WebhookMetrics,
        wake: Callable[[], None],
        *,
        allowed: Sequence[Network] = (),
        trusted: Sequence[Network] = (),
        alarms: LocalAlarms | None = None,
    ) -> None:
        """Store the parts. `secrets` are all signing secrets valid now (several during a rotation); `wake` wakes the inbox worker.

        `allowed` are the networks from which events are accepted, empty for any; `trusted` the proxies whose X-Forwarded-For counts.
        Without `alarms`, alarms are only logged.
        """
        self._alarms = LocalAlarms() if alarms is None else alarms
        self._allowed = tuple(allowed)
        self._trusted = tuple(trusted)
        self._database = database
        self._secrets = tuple(secrets)
        self._clock = clock
        self._wake = wake
        # A single writer: while one group is being committed the next one gathers, and grows with the load. Measured: two writers
        # commit smaller groups and accept fewer events.
        self._group: GroupCommit[webhooks_service.Event, bool] = GroupCommit(self._store)
        self._refused_in_row = 0
        self._outcomes = {name: metrics.events.labels(name) for name in OUTCOMES}

    async def receive(self, request: web.Request) -> str:
        """Verify and store one event; return `stored`, `duplicate` or `ignored`.

        Raises Problem: 400 `signature_invalid` or `malformed_event`, 403 `address_not_allowed`, 503 `webhooks_not_configured`.
        """
        if self._allowed:
            self._require_allowed(request)
        if not self._secrets:
            raise Problem(
                503, "webhooks_not_configured", "STRIPE_WEBHOOK_SECRETS is not set; the event was not stored."
            )
        raw = await read_body(request, BODY_LIMIT)
        try:
            now = self._clock.now()
            verify(raw, request.headers.get("Stripe-Signature"), self._secrets, int(now.timestamp()))
            parsed = parse_event(raw)
        except WebhookSignatureInvalid as error:
            self._refuse(request.headers.get("Stripe-Signature"))
            raise Problem(400, "signature_invalid", f"The signature is invalid: {error}.") from error
        except MalformedEvent as error:
            self._outcomes["refused"].inc()
            raise Problem(400, "malformed_event", f"The event is malformed: {error}.") from error
        event = webhooks_service.Event(
            id=parsed.id,
            type=parsed.type[:64],
            stripe_session_id=parsed.session_id,
            session_status=(parsed.session_status or "")[:40] or None,
            body_sha256=hashlib.sha256(raw).hexdigest(),
            created_at=now if parsed.created is None else _utc(parsed.created),
        )
        if self._refused_in_row:
            self._refused_in_row = 0
            self._alarms.clear("webhooks.all_refused", "")
        is_new = await self._group.submit(event)
        outcome = "duplicate" if not is_new else "ignored" if event.ignored else "stored"
        self._outcomes[outcome].inc()
        if outcome == "stored":
            self._wake()
        return outcome

    @property
    def all_refused(self) -> bool:
        """Whether MAX_REFUSED_IN_ROW or more signed events were refused and none was accepted since."""
        return self._refused_in_row >= MAX_REFUSED_IN_ROW

    def _refuse(self, header: str | None) -> None:
        self._outcomes["refused"].inc()
        # Counted only if it looks signed: an unsigned request from a third party says nothing about our secret.
        if header is None or "v1=" not in header:
            return
        self._refused_in_row += 1
        if self._refused_in_row == MAX_REFUSED_IN_ROW:
            self._alarms.raise_alarm("webhooks.all_refused", "", refused=self._refused_in_row)

    def _require_allowed(self, request: web.Request) -> None:
        address = client_ip(request.remote, request.headers.getall("X-Forwarded-For", ()), self._trusted)
        if address is None or not is_within(address, self._allowed):
            self._outcomes["refused"].inc()
            raise Problem(403, "address_not_allowed", "Events from this address are not accepted.")

    async def _store(self, events: Sequence[webhooks_service.Event]) -> Sequence[bool]:
        new = await webhooks_service.store(self._database, events, self._clock.now())
        # If one id occurs twice in a group, only the first occurrence is new.
        outcomes = []
        for event in events:
            outcomes.append(event.id in new)
            new.discard(event.id)
        return outcomes
