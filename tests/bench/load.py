"""A load of 32 keep-alive connections that costs little itself, so that it is the server which is measured."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import cast

CONNECTIONS = 32
MakeRequest = Callable[[], bytes]


@dataclass(slots=True)
class Result:
    """The result of one round; `rate` in responses per second."""

    answers: int = 0
    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        return self.answers / self.seconds if self.seconds else 0.0


class _Connection(asyncio.Protocol):
    def __init__(self, make: MakeRequest, result: Result, deadline: float, done: asyncio.Future[None]) -> None:
        self._make = make
        self._result = result
        self._deadline = deadline
        self._done = done
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._make())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, mark, body = self._buffer.partition(b"\r\n\r\n")
        if not mark:
            return
        lowered = head.lower()
        start = lowered.find(b"content-length:")
        if start < 0:
            raise RuntimeError("an answer without a length")
        end = lowered.find(b"\r\n", start)
        length = int(lowered[start + 15 : end if end >= 0 else None])
        if len(body) < length:
            return
        self._buffer = b""
        self._result.answers += 1
        self._result.statuses[int(head[9:12])] += 1
        assert self._transport is not None
        if time.perf_counter() >= self._deadline:
            self._transport.close()
        else:
            self._transport.write(self._make())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)


async def run(port: int, make: MakeRequest, seconds: float) -> Result:
    """Send requests as fast as responses arrive, for this number of seconds."""
    loop = asyncio.get_running_loop()
    result = Result()
    started = time.perf_counter()
    waiting = []
    for _ in range(CONNECTIONS):
        done: asyncio.Future[None] = loop.create_future()
        await loop.create_connection(partial(_Connection, make, result, started + seconds, done), "127.0.0.1", port)
        waiting.append(done)
    await asyncio.wait_for(asyncio.gather(*waiting), seconds + 30)
    result.seconds = time.perf_counter() - started
    return result
