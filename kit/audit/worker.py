"""The sealer: links new rows of the trail into the chain, and publishes its head where the database's owner cannot take it back."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy.exc import IntegrityError

from kit.audit import hash_chain
from kit.audit.hash_chain import NO_HEAD, Head
from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.logs import get_logger

log = get_logger(__name__)
BATCH: Final = 500
WINDOW: Final = 10_000
"""A row gets its id before its transaction commits, so a smaller id may appear later: how far back each step looks."""
FULL_EVERY_SECONDS: Final = 600.0


class ChainMoved(Exception):
    """The chain is not the one that this process saw: a link it knows is gone or changed. Nothing is sealed on top of that."""


class AuditChainMetrics:
    """The head, for whoever keeps metrics out of the database owner's reach."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare the families."""
        self.number = Gauge("onramp_audit_head_number", "Number of the newest link.", registry=registry)
        self.hash = Gauge(
            "onramp_audit_head_hash", "The first 48 bits of the newest link's hash, as a number.", registry=registry
        )
        self.sealed = Counter("onramp_audit_sealed_total", "Rows linked by this process.", registry=registry)
        self.moved = Gauge("onramp_audit_chain_moved", "1 where a link that was seen is gone.", registry=registry)


class AuditChainWorker:
    """Any number may run: a number in the chain can be taken once."""

    name = "audit"
    interval = 0.5

    def __init__(self, database: Database, ring: KeyRing, clock: Clock, metrics: AuditChainMetrics) -> None:
        """The first step looks at the whole trail, later ones at its end."""
        self._database = database
        self._key = ring.first(hash_chain.PURPOSE)
        self._clock = clock
        self._metrics = metrics
        self._seen = NO_HEAD
        self._full_at = clock.monotonic()

    async def step(self) -> bool:
        """Link what is new; True where more may wait."""
        full = self._clock.monotonic() >= self._full_at
        async with self._database.read() as conn:
            newest = await hash_chain.newest_sealed_entry(conn)
            since = 0 if full else max(0, newest - WINDOW)
            found = await hash_chain.unsealed(conn, since=since, limit=BATCH)
        if full and len(found) < BATCH:
            self._full_at = self._clock.monotonic() + FULL_EVERY_SECONDS
        try:
            async with self._database.write() if found else self._database.read() as conn:
                last = await hash_chain.head(conn)
                self._require_seen(last, await hash_chain.hash_at(conn, self._seen.number))
                rows = await hash_chain.unsealed(conn, since=since, limit=BATCH) if found else []
                head = await hash_chain.extend(conn, self._key, last, rows, self._clock.now())
        except IntegrityError:
            return True  # another sealer was quicker; its links are seen in the next step
        self._publish(head, len(rows))
        return len(rows) == BATCH

    def _require_seen(self, last: Head, at_seen: str | None) -> None:
        """Raises ChainMoved where the newest link that this process knows is not in the chain any more."""
        if self._seen == NO_HEAD or (last.number >= self._seen.number and at_seen == self._seen.hash):
            return
        self._metrics.moved.set(1)
        log.critical("audit.chain_moved", seen=self._seen.number, seen_hash=self._seen.hash, found=last.number)
        raise ChainMoved(f"link {self._seen.number} of the audit chain is gone or changed; run `onramp audit verify`")

    def _publish(self, head: Head, sealed: int) -> None:
        if head != self._seen:
            log.info("audit.head", number=head.number, hash=head.hash, sealed=sealed)
        self._seen = head
        self._metrics.sealed.inc(sealed)
        self._metrics.number.set(head.number)
        self._metrics.hash.set(int(head.hash[:12], 16))
