"""Wake-ups from a real node's WebSocket, and from one that dies silently."""

import asyncio

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from chain.node.config import NodeConfig, parse_ws
from chain.node.new_heads import FIRST_RETRY, NewHeadListener
from kit.logs import configure
from onramp.dev.chain.devchain import DevChain
from tests.support.waiting import eventually


async def test_a_new_block_wakes(chain: DevChain) -> None:
    woken: asyncio.Queue[None] = asyncio.Queue()
    async with aiohttp.ClientSession() as session:
        ups = NewHeadListener(parse_ws(chain.anvil.url.replace("http", "ws")), session, lambda: woken.put_nowait(None))
        ups.start()
        async with asyncio.timeout(60):
            for _ in range(3):
                await woken.get()
        await ups.stop()


async def test_a_silent_subscription_is_replaced() -> None:
    opened = 0
    again = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        nonlocal opened
        opened += 1
        if opened == 2:
            again.set()
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        asked = await socket.receive_json()
        assert isinstance(asked["id"], int)
        await socket.send_json({"jsonrpc": "2.0", "id": asked["id"], "result": "0x1"})
        await socket.receive()
        return socket

    app = web.Application()
    app.router.add_get("/", silent)
    server = TestServer(app)
    await server.start_server()
    async with aiohttp.ClientSession() as session:
        node = NodeConfig("ws1", "ws1", f"ws://127.0.0.1:{server.port}/")
        ups = NewHeadListener([node], session, lambda: None, silence=0.3)
        ups.start()
        async with asyncio.timeout(60):
            await again.wait()
        await ups.stop()
    await server.close()


async def test_a_subscription_that_falls_silent_after_blocks_is_replaced_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    notifications, enough = 0, asyncio.Event()

    async def one_block(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive_json()
        await socket.send_json({"jsonrpc": "2.0", "method": "eth_subscription", "params": {}})
        await socket.receive()
        return socket

    def wake() -> None:
        nonlocal notifications
        notifications += 1
        if notifications == 3:
            enough.set()

    configure("info", "json", own_loggers=("kit", "chain"))
    app = web.Application()
    app.router.add_get("/", one_block)
    server = TestServer(app)
    await server.start_server()
    async with aiohttp.ClientSession() as session:
        ups = NewHeadListener([NodeConfig("ws1", "ws1", f"ws://127.0.0.1:{server.port}/")], session, wake, silence=0.2)
        ups.start()
        async with asyncio.timeout(60):
            await enough.wait()
        await ups.stop()
    await server.close()
    lost = [line for line in capsys.readouterr().err.splitlines() if "chain.new_heads_unavailable" in line]
    assert len(lost) == 2
    assert all(f'"again_in": {FIRST_RETRY}' in line for line in lost), lost


async def test_a_node_that_is_not_there_is_tried_again_and_stops_at_once() -> None:
    async with aiohttp.ClientSession() as session:
        ups = NewHeadListener(parse_ws("ws://127.0.0.1:9/a-key"), session, lambda: None)
        ups.start()
        with structlog.testing.capture_logs() as logs:
            await eventually(lambda: [line for line in logs if line["event"] == "chain.new_heads_unavailable"])
        async with asyncio.timeout(1):
            await ups.stop()
