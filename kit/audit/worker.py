"""Link new entries of the audit trail into the hash chain, and publish its head where the owner of the database cannot take it back."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy.exc import IntegrityError

from kit.alarms.alarms import LocalAlarms
from kit.audit import hash_chain
from kit.audit.hash_chain import NO_HEAD, Head
from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.logs import get_logger

log = get_logger(__name__)
BATCH: Final = 500
"""The most entries linked in one step."""
WINDOW: Final = 10_000
"""How many ids back each step searches: an entry gets its id before its transaction commits, so a smaller id may appear later."""
FULL_EVERY_SECONDS: Final = 600.0
"""Seconds between two searches of the whole trail for entries without a link."""


class ChainMoved(Exception):
    """A link that this process has seen is missing or changed. Nothing is linked on top of such a chain."""


class AuditChainMetrics:
    """The head of the chain, for a metrics store that the owner of the database cannot change."""

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        """Register the metrics; their names begin with `prefix`, such as `onramp`."""
        self.number = Gauge(f"{prefix}_audit_head_number", "Number of the newest link.", registry=registry)
        self.hash = Gauge(
            f"{prefix}_audit_head_hash", "The first 48 bits of the newest link's hash, as a number.", registry=registry
        )
        self.sealed = Counter(f"{prefix}_audit_sealed_total", "Rows linked by this process.", registry=registry)
        self.moved = Gauge(f"{prefix}_audit_chain_moved", "1 if a link that was seen is missing.", registry=registry)


class AuditChainWorker:
    """Links new entries into the hash chain. Several processes may run it: each number of the chain can be used once."""

    name = "audit"
    interval = 0.5

    def __init__(
        self,
        database: Database,
        ring: KeyRing,
        clock: Clock,
        metrics: AuditChainMetrics,
        alarms: LocalAlarms | None = None,
    ) -> None:
        """Prepare the worker; without `alarms`, alarms are only logged."""
        self._alarms = LocalAlarms() if alarms is None else alarms
        self._database = database
        self._key = ring.first(hash_chain.PURPOSE)
        self._clock = clock
        self._metrics = metrics
        self._seen = NO_HEAD
        self._full_at = clock.monotonic()

    async def step(self) -> bool:
        """Link up to BATCH new entries and publish the chain's head. Return whether more may be waiting. Raises ChainMoved."""
        full = self._clock.monotonic() >= self._full_at
        async with self._database.read() as conn:
            newest = await hash_chain.newest_linked_entry(conn)
            since = 0 if full else max(0, newest - WINDOW)
            waiting = await hash_chain.unlinked(conn, since=since, limit=BATCH)
        if full and len(waiting) < BATCH:
            self._full_at = self._clock.monotonic() + FULL_EVERY_SECONDS
        try:
            async with self._database.write() if waiting else self._database.read() as conn:
                last = await hash_chain.head(conn)
                self._require_seen(last, await hash_chain.hash_at(conn, self._seen.number))
                rows = await hash_chain.unlinked(conn, since=since, limit=BATCH) if waiting else []
                head = await hash_chain.extend(conn, self._key, last, rows, self._clock.now())
        except IntegrityError:
            return True  # another process was faster; the next step sees its links
        self._publish(head, len(rows))
        return len(rows) == BATCH

    def _require_seen(self, last: Head, at_seen: str | None) -> None:
        """Raise ChainMoved if the newest link that this process has seen is no longer in the chain."""
        if self._seen == NO_HEAD or (last.number >= self._seen.number and at_seen == self._seen.hash):
            return
        self._metrics.moved.set(1)
        facts = {"seen": self._seen.number, "seen_hash": self._seen.hash, "found": last.number}
        self._alarms.raise_alarm("audit.chain_moved", "audit", **facts)
        raise ChainMoved(f"link {self._seen.number} of the audit chain is gone or changed; run `onramp audit verify`")

    def _publish(self, head: Head, sealed: int) -> None:
        if head != self._seen:
            log.info("audit.head", number=head.number, hash=head.hash, sealed=sealed)
        self._seen = head
        self._metrics.sealed.inc(sealed)
        self._metrics.number.set(head.number)
        self._metrics.hash.set(int(head.hash[:12], 16))
