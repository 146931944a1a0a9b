"""Live changes of sessions: all event streams of this process share one query for the versions in the database.

A stream follows the version in the row, whichever process changed it; a wake-up only shortens the delay.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import sqlalchemy as sa

from kit.db.database import Database, is_unavailable, reason_of
from kit.logs import get_logger
from onramp.sessions import service as sessions_service
from onramp.sessions.model import Session
from onramp.sessions.table import sessions

log = get_logger(__name__)
POLL_SECONDS: Final = 0.5
BATCH: Final = 500


class ChangeFeed:
    """Follows the versions of the sessions that have a stream open."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watchers: dict[str, set[asyncio.Event]] = {}
        # The version that every watcher of a session was last woken for. A later watcher reads the session itself, and must not
        # change what the others are woken for.
        self._versions: dict[str, int] = {}
        self._nudge = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def nudge(self) -> None:
        """Read the versions now, because this process changed a session."""
        self._nudge.set()

    def start(self) -> None:
        """Start polling."""
        self._task = asyncio.create_task(self._loop(), name="live")

    async def stop(self) -> None:
        """Stop polling. Open streams are not ended here; they have a signal of their own."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def follow(self, session_id: str, after: int) -> AsyncIterator[Session]:
        """Yield the session now if its version is above `after`, then its newest state after each change; end if it is deleted."""
        event = asyncio.Event()
        self._watchers.setdefault(session_id, set()).add(event)
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
            watchers = self._watchers.get(session_id, set())
            watchers.discard(event)
            if not watchers:
                self._watchers.pop(session_id, None)
                self._versions.pop(session_id, None)

    async def _loop(self) -> None:
        is_database_away = False
        while True:
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._nudge.wait()
            except TimeoutError:
                pass
            self._nudge.clear()
            if not self._watchers:
                continue
            try:
                await self._poll()
            except Exception as error:
                if not is_unavailable(error):
                    log.exception("live.poll_failed")
                elif not is_database_away:
                    log.warning("live.database_unavailable", reason=reason_of(error))
                is_database_away = is_unavailable(error)
            else:
                is_database_away = False

    async def _poll(self) -> None:
        session_ids = list(self._watchers)
        for start in range(0, len(session_ids), BATCH):
            batch = session_ids[start : start + BATCH]
            statement = sa.select(sessions.c.id, sessions.c.version).where(sessions.c.id.in_(batch))
            async with self._database.read() as conn:
                rows = (await conn.execute(statement)).fetchall()
            for row in rows:
                watchers = self._watchers.get(row.id)
                if watchers and row.version != self._versions.get(row.id):
                    self._versions[row.id] = row.version
                    for event in watchers:
                        event.set()
