"""Measure a login: its work alone, from the bytes of the body to those of the response; and over HTTP, compared with an empty response."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import aiohttp
import psutil
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from coincurve import PrivateKey

from chain.signatures.verify import personal_hash
from chain.types import keccak, to_checksum
from onramp.bootstrap.app import make_app
from onramp.bootstrap.server import tune_garbage_collection
from onramp.config.loader import load
from tests.bench import gates_bare

LOGINS: Final = 300
NONCE: Final = "/api/v1/auth/nonce"
LOGIN: Final = "/api/v1/auth/login"
_KEY: Final = PrivateKey()
_ADDRESS: Final = to_checksum("0x" + keccak(_KEY.public_key.format(compressed=False)[1:])[12:].hex())
Ask = Callable[[str, bytes], Awaitable[bytes]]
"""Path and body in, the answer's body out."""


@dataclass(slots=True)
class _Arrived:
    """A body that has arrived completely, read as aiohttp's own stream is."""

    raw: bytes

    def is_eof(self) -> bool:
        return True

    def set_read_chunk_size(self, _size: int) -> None:
        """Do nothing: no more bytes will arrive."""

    async def readany(self) -> bytes:
        raw, self.raw = self.raw, b""
        return raw


def _arrived(app: web.Application, path: str, body: bytes) -> web.Request:
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return make_mocked_request("POST", path, headers=headers, app=app, payload=_Arrived(body))  # type: ignore[arg-type] # aiohttp's own


async def _answer(app: web.Application, request: web.Request) -> bytes:
    found = await app.router.resolve(request)
    answer = await found.handler(request)
    assert isinstance(answer, web.Response) and answer.status == 200, request.path
    assert isinstance(answer.body, bytes)
    return answer.body


@asynccontextmanager
async def _running(app: web.Application) -> AsyncIterator[web.Application]:
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        yield app
    finally:
        await runner.cleanup()


async def _signed(ask: Ask) -> list[bytes]:
    """Return this number of signed logins."""
    ready = []
    for _ in range(LOGINS):
        text = json.loads(await ask(NONCE, json.dumps({"address": _ADDRESS}).encode()))["message"]
        made = _KEY.sign_recoverable(personal_hash(text), hasher=None)
        signature = made[:64] + bytes([made[64] + 27])
        ready.append(json.dumps({"message": text, "signature": "0x" + signature.hex()}).encode())
    return ready


async def _work(app: web.Application) -> float:
    """Return the seconds of CPU of this process for one login, including the database's driver."""

    async def ask(path: str, body: bytes) -> bytes:
        return await _answer(app, _arrived(app, path, body))

    # The requests are built before the measurement: aiohttp's fake connection costs more than a login.
    ready = [_arrived(app, LOGIN, body) for body in await _signed(ask)]
    before = time.process_time()
    for request in ready:
        await _answer(app, request)
    return (time.process_time() - before) / LOGINS


async def _over_http(server: psutil.Process, port: int) -> float:
    """Return the seconds of CPU of the server for one login."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:

        async def ask(path: str, body: bytes) -> bytes:
            async with http.post(path, data=body, headers={"Content-Type": "application/json"}) as answer:
                assert answer.status == 200, await answer.text()
                return await answer.read()

        ready = await _signed(ask)
        return await _spent(server, [_request(LOGIN, body) for body in ready], port)


async def _empty(server: psutil.Process, port: int, path: str) -> float:
    """Return the same for an empty response."""
    return await _spent(server, [f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()] * LOGINS, port)


def _request(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _spent(server: psutil.Process, requests: Sequence[bytes], port: int) -> float:
    """Return the CPU seconds of requests sent one after the other on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    before = server.cpu_times()
    for request in requests:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200"), head
        await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
    after = server.cpu_times()
    writer.close()
    spent: float = after.user + after.system - before.user - before.system
    return spent / len(requests)


async def rows(
    ours: psutil.Process, port: int, bare: psutil.Process, bare_port: int, *, environment: dict[str, str],
    bare_url: str, rounds: int,
) -> list[tuple[str, ...]]:  # fmt: skip
    """Return the rows of the table: the median CPU of a login with a key, measured in turn."""
    os.environ.update(environment)
    async with _running(make_app(load(), workers=())) as mine, _running(await gates_bare.make(bare_url)) as theirs:
        tune_garbage_collection()  # as `onramp serve` does; this process holds far more than a server
        work = await _in_turn(rounds, partial(_work, mine), partial(_work, theirs))
    http = await _in_turn(rounds, partial(_over_http, ours, port), partial(_over_http, bare, bare_port))
    empty = await _in_turn(rounds, partial(_empty, ours, port, "/health"), partial(_empty, bare, bare_port, "/empty"))
    return [
        _row("login with a key, its work alone, CPU", work, "<= 1 ms"),
        _row("login with a key over HTTP, CPU", http, ""),
        _row("beside it: an empty answer over HTTP, CPU", empty, ""),
    ]


def _row(name: str, costs: tuple[float, float], reach: str) -> tuple[str, ...]:
    mine, theirs = costs
    return name, f"{mine * 1e3:.2f} ms", f"{theirs * 1e3:.2f} ms", f"{mine / theirs:.2f}x", reach


async def _in_turn(
    rounds: int, ours: Callable[[], Awaitable[float]], bare: Callable[[], Awaitable[float]]
) -> tuple[float, float]:
    await ours(), await bare()
    pairs = [(await ours(), await bare()) for _ in range(rounds)]
    mine, theirs = (sorted(column)[len(column) // 2] for column in zip(*pairs, strict=True))
    return mine, theirs
