"""Resolve API keys; each is read from the database at most every two seconds, so that a revoked key is refused within five."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from kit.audit import service as audit_service
from kit.batching import DataLoader
from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.entry_limiter import EntryLimiter
from kit.http.problems import Problem
from kit.logs import get_logger
from onramp.auth.api_keys import second_factor
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.api_keys.service import PREFIX, Found
from onramp.auth.roles import Principal

log = get_logger(__name__)
TRUST_SECONDS: Final = 2.0
REMEMBER: Final = 1024
TOUCH_SECONDS: Final = 5.0
MAX_SUBJECT: Final = 80


class ApiKeyAuthenticator:
    """Resolves API keys to callers, and stores when keys were last used, in batches every few seconds."""

    def __init__(self, database: Database, ring: KeyRing, clock: Clock) -> None:
        self._database = database
        self._ring = ring
        self._clock = clock
        self._known: dict[str, tuple[Principal, float]] = {}
        self._used: set[str] = set()
        self._refused: dict[str, EntryLimiter] = {}
        self._asked: DataLoader[str, Found] = DataLoader(self._ask)
        self._task: asyncio.Task[None] | None = None

    async def resolve(self, token: str) -> Principal | None:
        """Return the caller that `token` belongs to; None if it is unknown or no longer valid. Raises Problem 403 for a key that does not work yet.

        An uncached token is looked up by a keyed hash, so the time of a refusal does not reveal how close a guess was, and a
        revoked key is refused in the same time as an unknown one.
        """
        moment = self._clock.monotonic()
        known = self._known.get(token)
        if known is not None and known[1] > moment:
            self._used.add(known[0].id)
            return known[0]
        if not token.startswith(PREFIX):
            return None
        found = await self._find(api_keys_service.hashes(self._ring, token))
        if found is None:
            self._known.pop(token, None)
            return None
        waits = found.active_from - self._clock.now()
        if waits > timedelta(0):
            raise Problem(
                403,
                "key_not_active",
                f"This key is new and works in {int(waits.total_seconds() // 3600) + 1} h, "
                "or once an approver of another person confirms it.",
            )
        if len(self._known) >= REMEMBER:
            self._known.clear()
        # Counted from before the query, so that a result is never used for longer than TRUST_SECONDS.
        self._known[token] = (found.principal, moment + TRUST_SECONDS)
        self._used.add(found.principal.id)
        return found.principal

    def forget(self, key_id: str) -> None:
        """Drop a key from the cache: a change made by this process counts here at once, and elsewhere after TRUST_SECONDS."""
        self._known = {token: known for token, known in self._known.items() if known[0].id != key_id}

    async def _find(self, candidates: Sequence[str]) -> Found | None:
        answers = await asyncio.gather(*(self._asked.get(candidate) for candidate in candidates))
        return next((found for found in answers if found is not None), None)

    async def _ask(self, candidates: Sequence[str]) -> dict[str, Found]:
        async with self._database.read() as conn:
            return await api_keys_service.resolve(conn, candidates, self._clock.now())

    async def check_code(self, principal: Principal, code: str) -> None:
        """Check the second factor's code. Raises Problem if the code is missing, wrong or used, or the factor is locked; wrong attempts are counted."""
        if not code:
            raise second_factor.missing()
        async with self._database.write() as conn:
            outcome = await second_factor.use(conn, principal.id, code, self._ring, self._clock.now())
        if outcome != "accepted":
            raise second_factor.refusal(outcome)

    async def note_refused(self, principal: Principal, needed: str, path: str) -> None:
        """Write an audit row for a caller who tried a command that needs another role.

        Repetitions within a minute are one row, and the rows of one key in a minute are limited: a key can neither fill the audit log
        nor hide in it what another key tries.
        """
        if self._refused.setdefault(principal.id, EntryLimiter(self._clock)).admit(path) is None:
            return
        async with self._database.write() as conn:
            facts = {"code": "forbidden", "role": principal.role, "needs": needed}
            subject = path[:MAX_SUBJECT]
            await audit_service.record(conn, principal.id, "api.refused", subject, None, facts, at=self._clock.now())

    def start(self) -> None:
        """Start the task that stores when keys were last used."""
        self._task = asyncio.create_task(self._loop(), name="api-keys")

    async def stop(self) -> None:
        """Stop the task, and store the last uses that are not stored yet."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._write()

    async def _loop(self) -> None:
        while True:
            await self._clock.sleep(TOUCH_SECONDS)
            await self._write()

    async def _write(self) -> None:
        used, self._used = self._used, set()
        moment = self._clock.monotonic()
        self._known = {token: known for token, known in self._known.items() if known[1] > moment}
        if not used:
            return
        try:
            async with self._database.write() as conn:
                await api_keys_service.touch(conn, used, self._clock.now())
        except Exception:  # noqa: BLE001 - a last use is worth less than the service
            log.warning("api_keys.last_use_not_written", keys=len(used))
