"""An HTTP connection that limits each of its waits.

Without these limits, aiohttp keeps a connection open for ever if its client sends nothing, sends half a header, or never reads.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from aiohttp import StreamReader, web
from aiohttp.http import HttpVersion11
from aiohttp.http_exceptions import HttpProcessingError

from kit.http import protocol_errors
from kit.http.problems import Problem
from kit.http.protocol_errors import ErrorResponses


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection, as the service classifies it."""

    client: str | None
    """The name under which the peer's connections are counted, such as an address or network; None if they are not limited by client."""
    is_proxy: bool = False
    """Whether the peer is one of our own proxies."""


ClassifyPeer = Callable[[str], Peer]
"""A function that returns the peer for an IP address."""

CLAIM_SERVING: Final = 4
FLUSH_SECONDS: Final = 5.0
"""Seconds that the last bytes of a response may take to leave after the connection is closed on our side."""
SLICE: Final = 16 * 1024
"""How many bytes are handed to the parser at once; the share of framing in a body is checked after each slice."""
_MAX_FRAMING: Final = (1, 5)
"""The share of a body's bytes that may be chunk framing: one fifth. Each chunk costs the parser as much as kilobytes of content: a megabyte
in chunks of one byte blocks the event loop for half a second (measured). Chunks of 24 bytes pass; real clients send larger ones."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The time limits of a connection, and how many connections may be open."""

    header_seconds: float = 10.0
    """Seconds from the start of the connection, or from the first byte of a later request, to the end of the request's headers."""
    idle_seconds: float = 75.0
    """Seconds that a connection may be idle between two requests."""
    proxy_idle_seconds: float = 3630.0
    """Seconds that a trusted proxy's connection may be idle. The proxy must close first, or it may send a request into a closing connection."""
    write_seconds: float = 30.0
    """Seconds that a client may read nothing while a response waits for it."""
    per_client: int = 256
    """The most open connections of one client. Beyond it, the client's connection with the lowest claim is closed for the new one."""
    total: int = 8192
    """The most open connections of all clients. Beyond it, the connection with the lowest claim is closed for the new one."""


class ConnectionRegistry(Protocol):
    """The part of the server that a connection uses: to be counted, and to have its headers timed."""

    limits: Limits
    classify_peer: ClassifyPeer
    errors: ErrorResponses

    def admit(self, connection: "Connection") -> Problem | None:
        """Count a new connection. Return a problem, and do not count it, if there are too many."""

    def header_started(self, connection: "Connection") -> None:
        """Start the time limit for the headers of the connection's next request."""

    def header_complete(self, connection: "Connection") -> None:
        """End the time limit for the headers of the connection's next request."""

    def closed(self, connection: "Connection") -> None:
        """Stop counting a connection that is closed or about to be."""


class Connection(web.RequestHandler):
    """One client connection.

    It aborts a client that does not read, or sends mostly chunk framing; tells the server when request headers begin and are complete, so
    that the server can limit their time; and answers protocol errors with problem documents.
    """

    __slots__ = (
        *("_body", "_closing", "_fed", "_has_data", "_requests_seen", "_server", "_stalled", "_tcp"),
        *("awaits_header", "client", "is_stream"),
    )

    def __init__(self, server: ConnectionRegistry, **options: Any) -> None:
        super().__init__(cast("web.Server", server), **options)
        self._server = server
        self._tcp: asyncio.Transport | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._has_data = False
        self._requests_seen = 0
        self._body: StreamReader | None = None
        self._fed = 0
        self.awaits_header = False
        self.is_stream = False
        """Whether the response is an endless stream, which the client opens again by itself if it is closed."""
        self.client: str | None = None

    @property
    def is_serving(self) -> bool:
        """Whether a request has arrived that has no response yet."""
        return self._request_in_progress or bool(self._messages)

    @property
    def claim(self) -> int:
        """The rank of this connection when one must be closed to make room for another: the lowest is closed first.

        0: no request yet; 1: idle between requests; 2: the body has not arrived; 3: a stream; CLAIM_SERVING: a request is being served.
        """
        if self.awaits_header and not self.is_serving:
            return 0
        if self._waiter is not None and not self._messages:
            return 1
        if self._current_request is not None and not self._current_request.content.is_eof():
            return 2
        return 3 if self.is_stream else CLAIM_SERVING

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection; answer with a problem and close it if there are too many."""
        tcp = self._tcp = cast("asyncio.Transport", transport)
        name = tcp.get_extra_info("peername")
        peer = self._server.classify_peer(str(name[0])) if name else Peer(None)
        self.client = peer.client
        if peer.is_proxy:
            self._keepalive_timeout = self._server.limits.proxy_idle_seconds
        problem = self._server.admit(self)
        if problem is not None:
            tcp.write(self._server.errors.raw(problem))
            self._close_soon(tcp)
            return
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Hand data to the parser; abort the connection if a body is mostly chunk framing."""
        for start in range(0, len(data), SLICE):
            self._parse(data if len(data) <= SLICE else data[start : start + SLICE])
            if self._tcp is None or self._tcp.is_closing():
                return
            if self._is_framing(min(SLICE, len(data) - start)):
                self._tcp.abort()
                return

    def _is_framing(self, size: int) -> bool:
        """Return whether too many bytes of the body being received, the last `size` of which came just now, are chunk framing."""
        request = self._current_request
        body = self._messages[-1][1] if self._messages else None if request is None else request.content
        if body is None or body.is_eof():
            self._body = None
        elif body is not self._body:
            self._body, self._fed = body, 0
        else:
            self._fed += size
            part, whole = _MAX_FRAMING
            return self._fed >= SLICE and body.total_bytes * whole < self._fed * (whole - part)
        return False

    def _parse(self, data: bytes) -> None:
        """Parse bytes, and record whether request headers have begun or are complete."""
        request, count = self._current_request, self._request_count
        is_body = request is not None and not request.content.is_eof()
        super().data_received(data)
        if self.awaits_header:
            self._has_data = True
            if self._request_count > self._requests_seen:
                self.awaits_header = False
                self._server.header_complete(self)
        elif data and not is_body and self._request_count == count and not self._messages:
            self._has_data = True
            self._requests_seen = count
            # No longer idle: from now on the time limit for headers counts.
            self._next_keepalive_close_time = (
                self._loop.time() + self._keepalive_timeout + self._server.limits.header_seconds
            )
            self._server.header_started(self)

    def header_late(self) -> None:
        """Close the connection because its headers did not arrive in time; a client that sent part of them gets a 408."""
        tcp = self._tcp
        if tcp is not None and self._has_data and not tcp.is_closing():
            tcp.write(self._server.errors.raw(protocol_errors.LATE))
        self.force_close()

    def pause_writing(self) -> None:
        """Start the time limit for a client that does not read."""
        super().pause_writing()
        if self._tcp is not None and self._stalled is None:
            self._stalled = self._loop.call_later(self._server.limits.write_seconds, self._tcp.abort)

    def resume_writing(self) -> None:
        """End the time limit for a client that does not read: it has read."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    async def start(self) -> None:
        """Serve the connection's requests. When it ends, its last bytes have FLUSH_SECONDS to leave."""
        try:
            await super().start()
        finally:
            if self._tcp is not None:
                self._close_soon(self._tcp)

    def _close_soon(self, tcp: asyncio.Transport) -> None:
        tcp.close()
        self._closing = self._loop.call_later(FLUSH_SECONDS, tcp.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Cancel the timers, and have the server stop counting the connection."""
        self._tcp = None
        for timer in (self._stalled, self._closing):
            if timer is not None:
                timer.cancel()
        self._server.closed(self)
        super().connection_lost(exc)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Return the problem document for a request that could not be read or served; only our own faults are logged as errors.

        Raises ConnectionError if the response has already begun.
        """
        del message  # it may repeat what was sent
        if exc is not None and not isinstance(exc, HttpProcessingError):
            self.log_exception("Error handling request", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("The response has begun; the connection is closed.")
        if status == 400:
            # aiohttp answers an unreadable request as HTTP/1.0.
            request._version = HttpVersion11
            return self._server.errors.response(protocol_errors.parser_problem(exc))
        return self._server.errors.response(protocol_errors.status_problem(status))
