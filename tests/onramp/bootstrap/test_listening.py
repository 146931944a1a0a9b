"""HOST may be a list, and `::` listens on every address; CORS allows the headers that tracing and event libraries send."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from onramp.bootstrap.errors import StartError
from onramp.bootstrap.server import start_app
from onramp.config.loader import load
from onramp.dev.chain.anvil import free_port
from tests.support.service import Start


@asynccontextmanager
async def serving(host: str, port: int = 0) -> AsyncIterator[int]:
    app = web.Application()

    async def well(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    app.router.add_get("/health", well)
    runner, taken = await start_app(app, host, port)
    try:
        yield taken
    finally:
        await runner.cleanup()


async def answers(address: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(address, port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@pytest.mark.parametrize(
    ("host", "v4", "v6"),
    [
        ("127.0.0.1", True, False),
        ("0.0.0.0", True, False),
        ("::", True, True),
        ("::1", False, True),
        ("127.0.0.1,::1", True, True),
        ("0.0.0.0,::", True, True),
        ("::,0.0.0.0", True, True),
    ],
)
async def test_each_host_of_the_list_is_listened_at(host: str, *, v4: bool, v6: bool) -> None:
    async with serving(host) as port:
        assert (await answers("127.0.0.1", port), await answers("::1", port)) == (v4, v6)


@pytest.mark.parametrize("host", ["::", "127.0.0.1,::1", "::1"])
async def test_a_port_that_is_taken_is_named_and_nothing_is_left_listening(host: str) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=rf"Cannot listen on \[::1?\]:{port}: .*Choose another PORT"):
            async with serving(host, port):
                pass
        assert not await answers("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "no-such-name.invalid"])
async def test_a_host_that_is_not_this_machines_is_named(host: str) -> None:
    with pytest.raises(StartError, match="HOST takes addresses of this machine"):
        async with serving(host, free_port()):
            pass


PREFLIGHTS = (
    "content-type,idempotency-key", "traceparent,tracestate", "baggage,sentry-trace", "cache-control,last-event-id", "pragma",
    "accept,x-requested-with", "authorization,x-otp,x-request-id", "x-datadog-trace-id,x-datadog-parent-id,x-datadog-origin",
)  # fmt: skip


@pytest.mark.parametrize("asked", PREFLIGHTS)
async def test_a_page_may_send_what_its_libraries_add(start: Start, asked: str) -> None:
    service = await start(ALLOWED_ORIGINS="https://App.example:443/")
    headers = {
        "Origin": "https://app.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked,
    }  # fmt: skip
    async with service.http.options(f"{service.api}/api/v1/onramp/sessions", headers=headers) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        allowed = {name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
        assert set(asked.split(",")) <= allowed


async def test_no_proxy_may_change_an_event_stream(start: Start) -> None:
    service = await start()
    _, made = await service.create()
    url = f"{service.api}/api/v1/onramp/sessions/{made['id']}/events"
    async with service.http.get(url, headers={"Accept-Encoding": "gzip, br"}) as answer:
        assert "no-transform" in answer.headers["Cache-Control"]
        assert answer.headers.get("Content-Encoding") is None
        assert (await answer.content.readuntil(b"data:")).startswith(b"retry")


def health_check() -> list[str]:
    text = Path("Dockerfile").read_text(encoding="utf-8")
    _, _, check = text.partition("HEALTHCHECK")
    command: list[str] = json.loads(check.partition("CMD ")[2].partition("\n")[0])
    return [sys.executable, *command[1:]]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]", "::1", "127.0.0.1, ::1", "localhost"])
async def test_the_images_health_check_asks_where_the_service_listens(host: str) -> None:
    async with serving(host.replace("[", "").replace("]", "").replace(" ", "")) as port:
        environment = {"PATH": os.environ["PATH"], "HOST": host, "PORT": str(port)}
        check = await asyncio.create_subprocess_exec(*health_check(), env=environment)
        assert await check.wait() == 0
    check = await asyncio.create_subprocess_exec(*health_check(), env=environment, stderr=asyncio.subprocess.DEVNULL)
    assert await check.wait() != 0


async def test_a_commands_url_reaches_a_service_that_listens_everywhere() -> None:
    for host in ("::", "0.0.0.0", "::1", "127.0.0.1"):
        async with (
            serving(host) as port,
            aiohttp.ClientSession() as http,
            http.get(f"{load(HOST=host, PORT=port).local_url}/health") as answer,
        ):
            assert answer.status == 200
