"""The limits of one connection, of one address and of all connections together, in seconds and numbers, on real sockets."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web

from kit.http import sse
from kit.http.connection import Connection, Limits, Peer
from kit.http.protocol_errors import Identity
from kit.http.server import Server, ServerRunner, max_connections

Port = int
Serve = Callable[..., Awaitable[tuple[Port, Server]]]
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
QUICK = Limits(header_seconds=0.5, idle_seconds=1.5, write_seconds=0.5)


def make_app() -> web.Application:
    stop = asyncio.Event()

    async def health(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def large(_request: web.Request) -> web.Response:
        return web.Response(body=b"0" * (32 << 20))

    async def take(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def never(_request: web.Request) -> web.Response:
        await stop.wait()
        return web.Response(text="late")

    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(2)
        return web.Response(text="ok")

    async def stream(request: web.Request) -> web.StreamResponse:
        async def events() -> AsyncIterator[tuple[str, str, bytes]]:
            yield "1", "hello", b"1"
            await stop.wait()

        return await sse.stream(request, events(), stop)

    async def ended(_app: web.Application) -> None:
        stop.set()

    app = web.Application()
    app.router.add_get("/health", health)
    app.router.add_get("/large", large)
    app.router.add_get("/never", never)
    app.router.add_get("/slow", slow)
    app.router.add_get("/stream", stream)
    app.router.add_post("/take", take)
    app.on_shutdown.append(ended)
    return app


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def started(limits: Limits = QUICK, peer: Peer | None = None) -> tuple[Port, Server]:
            runner = ServerRunner(
                make_app(),
                limits=limits,
                classify_peer=lambda _: peer or Peer("here"),
                identity=Identity("onramp", "urn:onramp:problem:"),
                shutdown_timeout=5,
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
            server = runner.server
            assert isinstance(server, Server)
            return int(runner.addresses[0][1]), server

        yield started


async def connect(port: Port, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    return reader, writer


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Return everything until the server closes; a reset counts as closing."""
    async with asyncio.timeout(30):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def is_served(port: Port, path: str = "/health") -> bool:
    reader, writer = await connect(port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await rest(reader)
    writer.close()
    return answer.startswith(b"HTTP/1.1 200 ")


def problem(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower() and b"\r\nServer: onramp\r\n" in head
    document: dict[str, Any] = json.loads(body)
    assert f"X-Request-Id: {document['requestId']}\r\n".encode() in head
    assert f"HTTP/1.1 {document['status']} ".encode() == head[: head.index(b" ", 9) + 1]
    return document


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_connection_that_sends_nothing_is_closed_without_a_response(serve: Serve) -> None:
    port, server = await serve()
    reader, _ = await connect(port)
    assert await rest(reader) == b""
    await settled(lambda: server.connections == [])


HALVES = (
    (0, b"GE"), (0, GET[:-2]), (2, GET[:-1]), (0, b"POST /take HTTP/1.1\r\nHost: x\r\nCont"), (1, b"\r\n"), (1, GET[:9]),
)  # fmt: skip


@pytest.mark.parametrize("peer", [Peer("here"), Peer(None), Peer(None, is_proxy=True)], ids=str)
async def test_an_unfinished_header_is_answered_with_408(serve: Serve, peer: Peer) -> None:
    port, server = await serve(peer=peer)

    async def send(before: int, half: bytes) -> None:
        reader, writer = await connect(port)
        for _ in range(before):
            writer.write(GET)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.write(half)
        answer = problem(await rest(reader))
        assert (answer["status"], answer["code"]) == (408, "request_timeout")

    await asyncio.gather(*(send(*half) for half in HALVES))
    await settled(lambda: server.connections == [])


async def test_part_of_the_next_request_does_not_end_the_one_that_is_being_served(serve: Serve) -> None:
    port, server = await serve()
    reader, writer = await connect(port, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    await settled(lambda: any(one.is_serving for one in server.connections if isinstance(one, Connection)))
    writer.write(GET[:9])
    answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 200") and b"HTTP/1.1 408" in answer


async def test_one_byte_at_a_time_does_not_put_the_end_off(serve: Serve) -> None:
    port, _ = await serve()
    reader, writer = await connect(port)
    began = time.monotonic()
    with pytest.raises(ConnectionError):
        for byte in GET * 100:
            writer.write(bytes([byte]) if byte != 0x0A else b"x")
            await writer.drain()
            await asyncio.sleep(0.1)
    assert time.monotonic() - began < 10
    writer.close()
    del reader


async def test_a_connection_at_rest_is_closed_and_a_proxys_is_kept(serve: Serve) -> None:
    for peer, kept in ((Peer("here"), False), (Peer(None, is_proxy=True), True)):
        port, server = await serve(peer=peer)
        reader, writer = await connect(port, GET)
        await reader.readuntil(b"ok")
        if kept:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2.5):
                    await reader.read(1)
        else:
            assert await rest(reader) == b""
            await settled(lambda server=server: server.connections == [])  # type: ignore[misc]
        writer.close()


@pytest.mark.parametrize("path", ["/large", "/stream"])
async def test_a_client_that_does_not_read_its_response_is_disconnected(serve: Serve, path: str) -> None:
    port, server = await serve()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await settled(lambda: len(server.connections) == 1)
        (connection,) = server.connections
        if path == "/stream":
            await settled(lambda: isinstance(connection, Connection) and connection.is_stream)
            assert connection.transport is not None
            connection.transport.write(b": " + b"x" * (16 << 20))  # past what the kernel holds
        await settled(lambda: server.open_count == 0)


async def test_an_address_closes_its_own_waiting_connections_before_it_is_refused(serve: Serve) -> None:
    port, server = await serve(Limits(per_client=8))
    first = [await connect(port) for _ in range(8)]
    assert await is_served(port)
    assert await rest(first[0][0]) == b""
    busy = [await connect(port, b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(8)]
    await settled(lambda: sum(one.claim == 4 for one in server.connections if isinstance(one, Connection)) == 8)
    reader, _ = await connect(port, GET)
    answer = problem(await rest(reader))
    assert (answer["status"], answer["code"]) == (429, "too_many_connections")
    busy[0][1].close()
    await settled(lambda: server.open_count < 8)
    assert await is_served(port)
    for _, writer in (*first, *busy):
        writer.close()


@pytest.mark.parametrize(
    "held",
    [
        b"",
        GET[:20],
        GET,
        b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_idle_connections_never_keep_a_new_one_out(serve: Serve, held: bytes) -> None:
    port, server = await serve(Limits(total=40), Peer(None))
    kept = [await connect(port, held) for _ in range(60)]
    await settled(lambda: server.open_count == 40)
    for _ in range(10):
        assert await is_served(port)
    for _, writer in kept:
        writer.close()


async def test_if_all_connections_are_in_use_a_new_one_is_answered_503(serve: Serve) -> None:
    port, server = await serve(Limits(total=300), Peer(None))
    busy = [await connect(port, b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(300)]
    await settled(lambda: sum(one.claim == 4 for one in server.connections if isinstance(one, Connection)) == 300)
    for _ in range(3):
        reader, _ = await connect(port, GET)
        assert problem(await rest(reader))["code"] == "too_many_connections"
    for _, writer in busy:
        writer.close()


def test_a_share_of_the_descriptors_is_kept_for_database_and_nodes() -> None:
    assert [max_connections(number, Limits()) for number in (1 << 20, 4096, 1024, 256, 64)] == [
        8192,
        2731,
        683,
        128,
        32,
    ]
