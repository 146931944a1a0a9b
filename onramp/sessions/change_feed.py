"""Live events: every stream of this process shares one look at the versions in the database.

Whatever process made the change, the version in the row is what a stream follows; a wake-up only makes it quicker.
"""

import asyncio
from collections.abc import AsyncIterator

import sqlalchemy as sa

from kit.db.database import Database, is_away, reason_of
from kit.logs import get_logger
from onramp.sessions import service as sessions_service
from onramp.sessions.model import Session
from onramp.sessions.table import sessions

log = get_logger(__name__)
EVERY_SECONDS = 0.5


class ChangeFeed:
    """Follows the versions of the sessions that somebody watches."""

    def __init__(self, database: Database) -> None:
        """Nothing is read before somebody watches."""
        self._database = database
        self._watched: dict[str, set[asyncio.Event]] = {}
        # What was last told to all who watch a session; one that comes later reads for itself, and speaks for nobody else.
        self._versions: dict[str, int] = {}
        self._nudge = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def nudge(self) -> None:
        """Something changed in this process: look now."""
        self._nudge.set()

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._loop(), name="live")

    async def stop(self) -> None:
        """End; the streams end by their own signal."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def follow(self, session_id: str, after: int) -> AsyncIterator[Session]:
        """The session now if its version is above `after`, then at each change."""
        event = asyncio.Event()
        self._watched.setdefault(session_id, set()).add(event)
        try:
            sent = after
            while True:
                async with self._database.read() as conn:
                    session = await sessions_service.get(conn, session_id)
                if session is None:
                    return
                if session.version > sent:
                    sent = session.version
                    yield session
                await event.wait()
                event.clear()
        finally:
            watchers = self._watched.get(session_id, set())
            watchers.discard(event)
            if not watchers:
                self._watched.pop(session_id, None)
                self._versions.pop(session_id, None)

    async def _loop(self) -> None:
        away = False
        while True:
            try:
                async with asyncio.timeout(EVERY_SECONDS):
                    await self._nudge.wait()
            except TimeoutError:
                pass
            self._nudge.clear()
            if not self._watched:
                continue
            try:
                await self._look()
            except Exception as error:
                if not is_away(error):
                    log.exception("live.look_failed")
                elif not away:
                    log.warning("live.database_away", reason=reason_of(error))
                away = is_away(error)
            else:
                away = False

    async def _look(self) -> None:
        watched = list(self._watched)
        for start in range(0, len(watched), 500):
            part = watched[start : start + 500]
            statement = sa.select(sessions.c.id, sessions.c.version).where(sessions.c.id.in_(part))
            async with self._database.read() as conn:
                rows = (await conn.execute(statement)).fetchall()
            for row in rows:
                watchers = self._watched.get(row.id)
                if watchers and row.version != self._versions.get(row.id):
                    self._versions[row.id] = row.version
                    for event in watchers:
                        event.set()
