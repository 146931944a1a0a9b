"""Who an API key is, asked of the database at most every two seconds a key, so that a revoked one is refused within five."""

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
    """Resolves secrets, and writes down when keys were used, a few seconds later and all together."""

    def __init__(self, database: Database, ring: KeyRing, clock: Clock) -> None:
        """Nothing is asked before the first request."""
        self._database = database
        self._ring = ring
        self._clock = clock
        self._known: dict[str, tuple[Principal, float]] = {}
        self._used: set[str] = set()
        self._refused: dict[str, EntryLimiter] = {}
        self._asked: DataLoader[str, Found] = DataLoader(self._ask)
        self._task: asyncio.Task[None] | None = None

    async def resolve(self, token: str) -> Principal | None:
        """Who holds `token`; None where nobody does, or no longer. Problem 403 for a key that does not work yet.

        A token that is not known to be good is hashed under a key that the asker does not know and looked up by that hash,
        so that how long a refusal takes says nothing about how close a guess was; a revoked key is refused in the time of
        one that never was.
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
        # Counted from before the question: what was true then is believed no longer than promised.
        self._known[token] = (found.principal, moment + TRUST_SECONDS)
        self._used.add(found.principal.id)
        return found.principal

    def forget(self, key_id: str) -> None:
        """Ask anew about this key: what was just changed here counts here at once, elsewhere after `TRUST_SECONDS`."""
        self._known = {token: known for token, known in self._known.items() if known[0].id != key_id}

    async def _find(self, candidates: Sequence[str]) -> Found | None:
        answers = await asyncio.gather(*(self._asked.get(candidate) for candidate in candidates))
        return next((found for found in answers if found is not None), None)

    async def _ask(self, candidates: Sequence[str]) -> dict[str, Found]:
        async with self._database.read() as conn:
            return await api_keys_service.resolve(conn, candidates, self._clock.now())

    async def check_code(self, principal: Principal, code: str) -> None:
        """Take the second factor's code; Problem 401 without a right one. A wrong try is remembered."""
        if not code:
            raise second_factor.missing()
        async with self._database.write() as conn:
            outcome = await second_factor.use(conn, principal.id, code, self._ring, self._clock.now())
        if outcome != "accepted":
            raise second_factor.refusal(outcome)

    async def note_refused(self, principal: Principal, needed: str, path: str) -> None:
        """Write into the trail who tries what only another role may do.

        The same again within a minute is one row, and a key gets so many rows a minute however many paths it tries: it neither fills the
        trail nor hides there what another key tries.
        """
        if self._refused.setdefault(principal.id, EntryLimiter(self._clock)).admit(path) is None:
            return
        async with self._database.write() as conn:
            facts = {"code": "forbidden", "role": principal.role, "needs": needed}
            subject = path[:MAX_SUBJECT]
            await audit_service.record(conn, principal.id, "api.refused", subject, None, facts, at=self._clock.now())

    def start(self) -> None:
        """Begin to write down last uses."""
        self._task = asyncio.create_task(self._loop(), name="api-keys")

    async def stop(self) -> None:
        """Write down what is left, and stop."""
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
