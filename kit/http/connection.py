"""A connection that no client can hold for long: each thing that it waits for has a number of seconds.

aiohttp keeps a connection that sends nothing, or half a header, for ever, and one whose client never reads as well.
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


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: by what it is counted, None where it has no limit of its own; and whether it is a proxy of ours."""

    place: str | None
    is_proxy: bool = False


Whence = Callable[[str], Peer]
"""What a peer's IP address makes of it."""

SERVED: Final = 4
FLUSH_SECONDS: Final = 5.0
"""How long the last bytes of an answer may take to leave once the connection is closed on our side."""
SLICE: Final = 16 * 1024
"""Bytes handed to the parser at once; a body is judged by its framing after each."""
_MAX_FRAMING: Final = (1, 5)
"""The part of a body's bytes that may frame chunks. Each chunk costs the parser as much as kilobytes in one: a megabyte in chunks of one byte
stops the event loop for half a second (measured). Chunks of 24 bytes pass; what streams a body sends more in each."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a connection is waited for, and how many may be open."""

    header_seconds: float = 10.0
    """From the connection, or from a later request's first byte, to the end of its headers."""
    idle_seconds: float = 75.0
    """Between two requests."""
    proxy_idle_seconds: float = 3630.0
    """The same where the peer is a proxy: it must close first, or it sends a request into a connection that is just closing."""
    write_seconds: float = 30.0
    """How long a client may take nothing of an answer that waits for it."""
    per_place: int = 256
    """Open at once from one address. Beyond it the address's own connection that loses least by it is closed for the new one."""
    most: int = 8192
    """Open at once from everybody. Beyond it the connection that loses least by it is closed for the new one."""


class Counts(Protocol):
    """Who is told of connections: the server."""

    limits: Limits
    whence: Whence

    def admit(self, connection: "Connection") -> Problem | None:
        """Count a new one; why it is refused."""

    def header_begins(self, connection: "Connection") -> None:
        """It owes the rest of a header."""

    def header_came(self, connection: "Connection") -> None:
        """It owes nothing."""

    def gone(self, connection: "Connection") -> None:
        """It is closed, or about to be."""


class Connection(web.RequestHandler):
    """One connection. Refuses in problem documents, and tells the server when it begins and ends to wait for a header."""

    __slots__ = (
        *("_body", "_closing", "_fed", "_heard", "_seen", "_server", "_stalled", "_wire"),
        *("awaits_header", "is_stream", "place"),
    )

    def __init__(self, server: "Counts", **options: Any) -> None:
        """Made by the server for each connection."""
        super().__init__(cast("web.Server", server), **options)
        self._server = server
        self._wire: asyncio.Transport | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._heard = False
        self._seen = 0
        self._body: StreamReader | None = None
        self._fed = 0
        self.awaits_header = False
        self.is_stream = False
        """Its answer has no end of its own; the client opens it again by itself."""
        self.place: str | None = None

    @property
    def is_serving(self) -> bool:
        """A request is here that has no answer yet."""
        return self._request_in_progress or bool(self._messages)

    @property
    def claim(self) -> int:
        """How much is lost if it is closed for another: 0 nothing was asked, 1 at rest, 2 its body is not here yet, 3 a stream, 4 it is served."""
        if self.awaits_header and not self.is_serving:
            return 0
        if self._waiter is not None and not self._messages:
            return 1
        if self._current_request is not None and not self._current_request.content.is_eof():
            return 2
        return 3 if self.is_stream else SERVED

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take it, or refuse it where there are too many."""
        wire = self._wire = cast("asyncio.Transport", transport)
        name = wire.get_extra_info("peername")
        peer = self._server.whence(str(name[0])) if name else Peer(None)
        self.place = peer.place
        if peer.is_proxy:
            self._keepalive_timeout = self._server.limits.proxy_idle_seconds
        refused = self._server.admit(self)
        if refused is not None:
            wire.write(protocol_errors.written(refused))
            self._abandon(wire)
            return
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Hand it to the parser; close where a body is little but framing of chunks."""
        for start in range(0, len(data), SLICE):
            self._take(data if len(data) <= SLICE else data[start : start + SLICE])
            if self._wire is None or self._wire.is_closing():
                return
            if self._is_framing(min(SLICE, len(data) - start)):
                self._wire.abort()
                return

    def _is_framing(self, size: int) -> bool:
        """Whether the body that comes in, `size` bytes just now, spends too many of them on its chunks."""
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

    def _take(self, data: bytes) -> None:
        """Note whether a header is on its way or complete."""
        request, count = self._current_request, self._request_count
        is_body = request is not None and not request.content.is_eof()
        super().data_received(data)
        if self.awaits_header:
            self._heard = True
            if self._request_count > self._seen:
                self.awaits_header = False
                self._server.header_came(self)
        elif data and not is_body and self._request_count == count and not self._messages:
            self._heard = True
            self._seen = count
            # It is not at rest any more: from now on the header's time counts.
            self._next_keepalive_close_time = (
                self._loop.time() + self._keepalive_timeout + self._server.limits.header_seconds
            )
            self._server.header_begins(self)

    def header_late(self) -> None:
        """Close; whoever sent a part is told why."""
        wire = self._wire
        if wire is not None and self._heard and not wire.is_closing():
            wire.write(protocol_errors.written(protocol_errors.LATE))
        self.force_close()

    def pause_writing(self) -> None:
        """The client does not read: give it some time."""
        super().pause_writing()
        if self._wire is not None and self._stalled is None:
            self._stalled = self._loop.call_later(self._server.limits.write_seconds, self._wire.abort)

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    async def start(self) -> None:
        """Serve the connection; afterwards its last bytes have a few seconds to leave."""
        try:
            await super().start()
        finally:
            if self._wire is not None:
                self._abandon(self._wire)

    def _abandon(self, wire: asyncio.Transport) -> None:
        wire.close()
        self._closing = self._loop.call_later(FLUSH_SECONDS, wire.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it."""
        self._wire = None
        for timer in (self._stalled, self._closing):
            if timer is not None:
                timer.cancel()
        self._server.gone(self)
        super().connection_lost(exc)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """A problem document. Only a fault of ours is logged as an error."""
        del message  # the library's words repeat what was sent
        if exc is not None and not isinstance(exc, HttpProcessingError):
            self.log_exception("Error handling request", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("The answer has begun; the connection is closed.")
        if status == 400:
            # The library answers what it could not read in the words of HTTP/1.0.
            request._version = HttpVersion11
            return protocol_errors.response(protocol_errors.of_bytes(exc))
        return protocol_errors.response(protocol_errors.of_status(status))
