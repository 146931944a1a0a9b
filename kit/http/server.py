"""An HTTP server whose connections are limited in time and number, below the application.

Each connection has a number of seconds for each thing that it is waited for, each address a number of connections, and the process as
many as its limit of open files leaves beside what it needs itself: database, nodes, key service.
"""

import asyncio
from itertools import islice
from typing import Any, Final

from aiohttp import web
from aiohttp.http import HttpVersion10, HttpVersion11

from kit.http import protocol_errors
from kit.http.connection import SERVED, Connection, Limits, Whence
from kit.http.problems import Problem

TICK: Final = 0.25
"""Seconds between two looks at who is late."""
LOOKED_AT: Final = 256
"""How many connections are looked at to find one that may be closed for a new one. The next look begins behind them."""
_VERSIONS: Final = (HttpVersion11, HttpVersion10)
LINGER_SECONDS: Final = 2.0
"""How long an unread body is taken in and thrown away after its answer, so that the client sees the answer and not a reset."""


def most_for(descriptors: int, limits: Limits) -> int:
    """How many connections may be open where so many descriptors are allowed; a third of these, at least 128, is kept for our own use."""
    return max(min(descriptors - max(descriptors // 3, 128), limits.most), 32)


class Server(web.Server):
    """Makes connections, counts them, and closes who is late."""

    def __init__(self, plain: web.Server, limits: Limits, whence: Whence) -> None:
        """`plain`: what the application would be served by."""
        options = plain._kwargs | {
            "auto_decompress": False,
            "keepalive_timeout": limits.idle_seconds,
            "lingering_time": LINGER_SECONDS,
            "max_line_size": protocol_errors.MAX_LINE,
            "max_field_size": protocol_errors.MAX_FIELD,
        }
        super().__init__(
            self._serve,
            request_factory=plain.request_factory,
            handler_cancellation=plain.handler_cancellation,
            loop=plain._loop,
            **options,
        )
        self._inner = plain.request_handler
        self.limits = limits
        self.whence = whence
        self._open: dict[Connection, None] = {}
        """All, the longest open first until a search passes over some."""
        self._at: dict[str, dict[Connection, None]] = {}
        self._late_at: dict[Connection, float] = {}
        """Those that owe a header, and when it is late; in that order, for all have the same time."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def open_count(self) -> int:
        """How many connections are open, those left out whose handler still runs for a client that has gone."""
        return len(self._open)

    def __call__(self) -> Connection:
        """A connection that has just been accepted."""
        return Connection(self, loop=self._loop, **self._kwargs)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.version not in _VERSIONS:
            request._version = HttpVersion11  # in which it is answered
            return protocol_errors.response(protocol_errors.OTHER_VERSION)
        refused = protocol_errors.of_request(request.headers)
        if refused is not None:
            return protocol_errors.response(refused)
        try:
            return await self._inner(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            answer = protocol_errors.response(protocol_errors.of_status(error.status))
            for name, value in error.headers.items():
                answer.headers.setdefault(name, value)
            return answer

    def admit(self, connection: Connection) -> Problem | None:
        """Count a new connection, closing another where there are too many; why it is refused where all others are being served."""
        place = connection.place
        if place is not None:
            here = self._at.setdefault(place, {})
            if len(here) >= self.limits.per_place and not self._close_one(here):
                return protocol_errors.TOO_MANY_HERE
        if len(self._open) >= self.limits.most and not (self._close_one(self._late_at) or self._close_one(self._open)):
            return protocol_errors.TOO_MANY
        self._open[connection] = None
        if place is not None:
            self._at.setdefault(place, {})[connection] = None
        self.header_begins(connection)
        return None

    def _close_one(self, connections: dict[Connection, Any]) -> bool:
        """Close the one that loses least by it, the longest open of those; False where each of those looked at is being served."""
        found, least = None, SERVED
        looked_at = list(islice(connections, LOOKED_AT))
        for one in looked_at:
            claim = one.claim
            if claim < least:
                found, least = one, claim
                if claim == 0:
                    break
        if found is None:
            for one in looked_at:
                connections[one] = connections.pop(one)
            return False
        self.gone(found)
        found.force_close()
        return True

    def header_begins(self, connection: Connection) -> None:
        """From now on the connection owes the rest of a header."""
        connection.awaits_header = True
        self._late_at[connection] = self._loop.time() + self.limits.header_seconds
        if self._timer is None:
            self._timer = self._loop.call_later(TICK, self._look)

    def header_came(self, connection: Connection) -> None:
        """It owes nothing."""
        self._late_at.pop(connection, None)

    def gone(self, connection: Connection) -> None:
        """It is closed, or about to be."""
        self._open.pop(connection, None)
        self._late_at.pop(connection, None)
        here = self._at.get(connection.place) if connection.place is not None else None
        if here is not None and connection.place is not None:
            here.pop(connection, None)
            if not here:
                del self._at[connection.place]

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        late = []
        for connection, when in self._late_at.items():
            if when > now:
                break
            late.append(connection)
        for connection in late:
            if (
                connection.is_serving
            ):  # part of the next request is here already; its time begins after this one's answer
                del self._late_at[connection]
                self.header_begins(connection)
                continue
            self.gone(connection)
            connection.header_late()
        if self._late_at:
            self._timer = self._loop.call_later(TICK, self._look)

    async def shutdown(self, timeout: float | None = None) -> None:
        """End every connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._late_at.clear()
        await super().shutdown(timeout)


class Runner(web.AppRunner):
    """Runs an application on that server."""

    def __init__(self, app: web.Application, *, limits: Limits, whence: Whence, shutdown_timeout: float) -> None:
        """`shutdown_timeout`: seconds that requests have to finish."""
        super().__init__(app, access_log=None, shutdown_timeout=shutdown_timeout, handler_cancellation=False)
        self._limits = limits
        self._whence = whence

    async def _make_server(self) -> web.Server:
        async def neutral(_request: web.Request, response: web.StreamResponse) -> None:
            response.headers["Server"] = protocol_errors.SERVER

        self.app.on_response_prepare.append(neutral)
        return Server(await super()._make_server(), self._limits, self._whence)
