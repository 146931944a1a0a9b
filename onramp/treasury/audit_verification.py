"""Verify the audit log's hash chain for the API: all requests within a minute share one walk over it."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kit.audit import hash_chain
from kit.audit.hash_chain import AuditVerification
from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database

REPEAT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a walk over the chain, and when it ended."""

    verdict: AuditVerification
    at: datetime


class AuditVerifier:
    """Walks the chain at most once in REPEAT_SECONDS, because a walk reads every row."""

    def __init__(self, database: Database, ring: KeyRing, clock: Clock) -> None:
        self._database = database
        self._ring = ring
        self._clock = clock
        self._last: Verified | None = None
        self._walked_at = 0.0
        self._walking = asyncio.Lock()

    async def verify(self) -> Verified:
        """Return the result of the newest walk; walk first if that is older than REPEAT_SECONDS."""
        async with self._walking:
            if self._last is None or self._clock.monotonic() - self._walked_at >= REPEAT_SECONDS:
                async with self._database.read() as conn:
                    verdict = await hash_chain.verify(conn, self._ring)
                self._last, self._walked_at = Verified(verdict, self._clock.now()), self._clock.monotonic()
            return self._last
