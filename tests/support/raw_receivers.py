"""HTTP receivers at the level of bytes, and the client that requests go through to them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ssl import SSLContext

from kit.http.outbound import OutboundClient, Resolve
from kit.http.outbound_urls import OutboundRules

DEVELOPMENT = OutboundRules(development=True)
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_receiver(handler: Handler, tls: SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Yield the port of a server that reads a request's head and hands the connection over, and the heads that it has read."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()


def answering(response: bytes) -> Handler:
    async def handler(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response)
        await writer.drain()

    return handler


@asynccontextmanager
async def outbound_client(
    rules: OutboundRules = DEVELOPMENT,
    *,
    seconds: float = 5,
    resolve: Resolve | None = None,
    ssl_context: SSLContext | None = None,
) -> AsyncIterator[OutboundClient]:
    outbound = OutboundClient(rules, seconds=seconds, resolve=resolve, ssl_context=ssl_context)
    try:
        yield outbound
    finally:
        await outbound.close()


def names(*answers: Sequence[str]) -> Resolve:
    """Return a name server that gives one answer after the other, the last one for ever."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


OK = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRetry-After: 7\r\nConnection: close\r\n\r\nok")
