"""Resolve the cookies of console sessions. Nothing is cached, so that an ended session is refused at once, by every process."""

from datetime import timedelta
from typing import Final

from aiohttp import web

from kit.clock import Clock
from kit.db.database import Database
from kit.http.routing import ROUTE, Access
from kit.logs import get_logger
from onramp.auth.console_sessions import service as console_sessions_service
from onramp.auth.console_sessions.cookie import cookie_of, require_same_origin, session_ended
from onramp.auth.console_sessions.service import PREFIX, OidcPersons
from onramp.auth.roles import Principal
from onramp.config.settings import Settings
from onramp.console.transport import is_console_port

log = get_logger(__name__)
TOUCH_EVERY: Final = timedelta(minutes=1)
BACKGROUND_HEADER: Final = "X-Onramp-Background"
"""The header, with the value 1, of a request that the console sends by itself: it does not keep an idle session alive."""


class ConsoleAuthenticator:
    """Resolves the session cookie of a request to its caller."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, persons: OidcPersons) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._persons = persons

    async def resolve(self, request: web.Request, access: Access) -> Principal | None:
        """Return the caller of the request's session cookie; None if no cookie counts on it.

        Raises Problem 403 for a request that another site may have caused, and 401 `session_ended` for a session that is not valid.
        """
        secret = cookie_of(request, access)
        if secret is None or not is_console_port(request, self._settings):
            return None
        now = self._clock.now()
        found = None
        if secret.startswith(PREFIX):
            candidates = console_sessions_service.hashes(self._settings.ring, secret)
            async with self._database.read() as conn:
                found = await console_sessions_service.find(conn, candidates, self._persons, now)
        if found is None:
            raise session_ended()
        require_same_origin(request, self._settings.public_origin)
        if now - found.last_used_at >= TOUCH_EVERY and not _is_background(request):
            await self._touch(found.id)
        return found.principal

    async def is_valid(self, session_id: str) -> bool:
        """Return whether a session is still valid, for responses that stay open longer than a request."""
        async with self._database.read() as conn:
            now = self._clock.now()
            return await console_sessions_service.get(conn, session_id, self._persons, now) is not None

    async def _touch(self, session_id: str) -> None:
        try:
            async with self._database.write() as conn:
                await console_sessions_service.touch(conn, session_id, self._clock.now())
        except Exception:  # noqa: BLE001 - a last use is worth less than the answer
            log.warning("console.last_use_not_written", session=session_id)


def _is_background(request: web.Request) -> bool:
    # A browser reopens an event stream by itself and cannot send a header with it.
    return request.headers.get(BACKGROUND_HEADER) == "1" or request[ROUTE].event is not None
