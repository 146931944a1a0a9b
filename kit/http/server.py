"""An HTTP server that limits the time and number of its connections, below the application.

Each connection has a limit of seconds for each of its waits. Each client has a limit of connections, and so has the process: as many as
its limit of open files leaves after its own needs (database, nodes, key service).
"""

import asyncio
from itertools import islice
from typing import Any, Final

from aiohttp import web
from aiohttp.http import HttpVersion10, HttpVersion11

from kit.http import protocol_errors
from kit.http.connection import CLAIM_SERVING, ClassifyPeer, Connection, Limits
from kit.http.problems import Problem
from kit.http.protocol_errors import ErrorResponses, Identity

TICK: Final = 0.25
"""Seconds between two checks for late headers."""
MAX_EXAMINED: Final = 256
"""How many connections are examined to find one to close for a new one; the next search begins behind them."""
_VERSIONS: Final = (HttpVersion11, HttpVersion10)
LINGER_SECONDS: Final = 2.0
"""Seconds that an unread body is read and discarded after its response, so that the client sees the response and not a reset."""


def max_connections(open_files: int, limits: Limits) -> int:
    """Return how many connections may be open if the process may have `open_files` open: a third of those, at least 128, is left for other uses.

    Never more than `limits.total`, never fewer than 32.
    """
    return max(min(open_files - max(open_files // 3, 128), limits.total), 32)


class Server(web.Server):
    """Creates connections, counts them, and closes those whose request headers are late."""

    def __init__(self, plain: web.Server, limits: Limits, classify_peer: ClassifyPeer, identity: Identity) -> None:
        """Take the place of `plain`, the server that aiohttp made for the application.

        `classify_peer` returns the peer for an IP address; `identity` holds the `Server` header and the prefix of problem types.
        """
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
        self.classify_peer = classify_peer
        self.errors = ErrorResponses(identity)
        self._open: dict[Connection, None] = {}
        """All open connections, oldest first, except that examined ones move to the end."""
        self._of_client: dict[str, dict[Connection, None]] = {}
        self._header_due: dict[Connection, float] = {}
        """Connections that wait for a header -> monotonic time at which it is late; earliest first, as the limit is the same for all."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def open_count(self) -> int:
        """How many connections are open. A handler that still runs for a client that has left does not count."""
        return len(self._open)

    def __call__(self) -> Connection:
        """Create the protocol of an accepted connection."""
        return Connection(self, loop=self._loop, **self._kwargs)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.version not in _VERSIONS:
            request._version = HttpVersion11  # the version of the response
            return self.errors.response(protocol_errors.OTHER_VERSION)
        problem = protocol_errors.header_problem(request.headers)
        if problem is not None:
            return self.errors.response(problem)
        try:
            return await self._inner(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            response = self.errors.response(protocol_errors.status_problem(error.status))
            for name, value in error.headers.items():
                response.headers.setdefault(name, value)
            return response

    def admit(self, connection: Connection) -> Problem | None:
        """Count a new connection, closing another if there are too many. Return a problem, and do not count it, if none can be closed."""
        client = connection.client
        if client is not None:
            siblings = self._of_client.setdefault(client, {})
            if len(siblings) >= self.limits.per_client and not self._close_one(siblings):
                return protocol_errors.TOO_MANY_OF_CLIENT
        if len(self._open) >= self.limits.total and not (
            self._close_one(self._header_due) or self._close_one(self._open)
        ):
            return protocol_errors.TOO_MANY
        self._open[connection] = None
        if client is not None:
            self._of_client.setdefault(client, {})[connection] = None
        self.header_started(connection)
        return None

    def _close_one(self, connections: dict[Connection, Any]) -> bool:
        """Close the connection with the lowest claim, the oldest of equals. Return False if all examined ones are being served."""
        chosen, lowest = None, CLAIM_SERVING
        examined = list(islice(connections, MAX_EXAMINED))
        for connection in examined:
            claim = connection.claim
            if claim < lowest:
                chosen, lowest = connection, claim
                if claim == 0:
                    break
        if chosen is None:
            for connection in examined:
                connections[connection] = connections.pop(connection)
            return False
        self.closed(chosen)
        chosen.force_close()
        return True

    def header_started(self, connection: Connection) -> None:
        """Start the time limit for the headers of the connection's next request."""
        connection.awaits_header = True
        self._header_due[connection] = self._loop.time() + self.limits.header_seconds
        if self._timer is None:
            self._timer = self._loop.call_later(TICK, self._close_late)

    def header_complete(self, connection: Connection) -> None:
        """End the time limit for the headers of the connection's next request."""
        self._header_due.pop(connection, None)

    def closed(self, connection: Connection) -> None:
        """Stop counting a connection that is closed or about to be closed."""
        self._open.pop(connection, None)
        self._header_due.pop(connection, None)
        client = connection.client
        siblings = None if client is None else self._of_client.get(client)
        if client is not None and siblings is not None:
            siblings.pop(connection, None)
            if not siblings:
                del self._of_client[client]

    def _close_late(self) -> None:
        self._timer = None
        now = self._loop.time()
        late = []
        for connection, when in self._header_due.items():
            if when > now:
                break
            late.append(connection)
        for connection in late:
            if connection.is_serving:
                # Part of the next request has arrived already; its time begins after this response.
                del self._header_due[connection]
                self.header_started(connection)
                continue
            self.closed(connection)
            connection.header_late()
        if self._header_due:
            self._timer = self._loop.call_later(TICK, self._close_late)

    async def shutdown(self, timeout: float | None = None) -> None:
        """Close every connection, after up to `timeout` seconds for the requests being served."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._header_due.clear()
        await super().shutdown(timeout)


class ServerRunner(web.AppRunner):
    """Runs an application on a `Server`."""

    def __init__(
        self,
        app: web.Application,
        *,
        limits: Limits,
        classify_peer: ClassifyPeer,
        identity: Identity,
        shutdown_timeout: float,
    ) -> None:
        """Prepare to run `app`; `shutdown_timeout` is how many seconds requests have to finish when the server stops."""
        super().__init__(app, access_log=None, shutdown_timeout=shutdown_timeout, handler_cancellation=False)
        self._limits = limits
        self._classify_peer = classify_peer
        self._identity = identity

    async def _make_server(self) -> web.Server:
        async def set_server_header(_request: web.Request, response: web.StreamResponse) -> None:
            response.headers["Server"] = self._identity.server

        self.app.on_response_prepare.append(set_server_header)
        return Server(await super()._make_server(), self._limits, self._classify_peer, self._identity)
