"""A transport that never touches a socket, and an event loop whose time is counted, not waited for.

The transport stands where aiohttp's session stands (`Pool(session=...)`), so everything from the HTTP status upwards is
real; the loop jumps to the next timer when nothing else is left to do, so a hang of ten seconds costs nothing.
"""

import asyncio
import math
import selectors
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Self

import aiohttp
import orjson

Body = bytes | Exception | int
"""What comes back: bytes with status 200, an exception of the connection, or a bare HTTP status."""


class Raw:
    """Bytes, a status or an exception instead of an answer, `after` so many seconds."""

    def __init__(self, body: Body, after: float = 0.0) -> None:
        """Say what."""
        self.body = body
        self.after = after


class Late:
    """A result that takes its time."""

    def __init__(self, result: Any, after: float) -> None:
        """Say what, and after how many seconds."""
        self.result = result
        self.after = after


class _Response:
    def __init__(self, body: Body, after: float, patience: float) -> None:
        self._body = body
        self._after = after
        self._patience = patience
        self.status = body if isinstance(body, int) else 200
        self.headers = {"Retry-After": "1"} if body == 429 else {}
        self.content = SimpleNamespace(readany=self._readany)

    async def _readany(self) -> bytes:
        body, self._body = self._body, b""
        return body if isinstance(body, bytes) else b""

    async def __aenter__(self) -> Self:
        if self._after:
            await asyncio.sleep(min(self._after, self._patience))
            if self._after >= self._patience:
                raise TimeoutError
        if isinstance(self._body, Exception):
            raise self._body
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""


def _patience(timeout: aiohttp.ClientTimeout) -> float:
    """Seconds until aiohttp gives up: of long timeouts, unless told otherwise, on the next full second of the loop's clock."""
    total, now = timeout.total or 0.0, asyncio.get_running_loop().time()
    return total if total < timeout.ceil_threshold else math.ceil(now + total) - now


class ScriptedSession:
    """`speak(host, method, params)` decides: a result, a `Late` one, or a `Raw` body."""

    def __init__(self, speak: Callable[[str, str, list[Any]], Any]) -> None:
        """Nothing is sent yet."""
        self._speak = speak
        self.requests: Counter[str] = Counter()

    def post(self, url: str, *, data: bytes, timeout: aiohttp.ClientTimeout, **_: Any) -> _Response:
        """One exchange."""
        self.requests[url.split("/")[2]] += 1
        asked, patience = orjson.loads(data), _patience(timeout)
        answers, after = [], 0.0
        for call in asked if isinstance(asked, list) else [asked]:
            said = self._speak(url.split("/")[2], call["method"], call["params"])
            if isinstance(said, Raw):
                return _Response(said.body, said.after, patience)
            if isinstance(said, Late):
                said, after = said.result, max(after, said.after)
            answers.append({"jsonrpc": "2.0", "id": call["id"], "result": said})
        return _Response(orjson.dumps(answers if isinstance(asked, list) else answers[0]), after, patience)


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing: the time it was to wait has passed."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                message = "everything waits, and nothing will ever happen"
                raise RuntimeError(message)
            self.passed += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time stands still while there is work, and jumps when there is none. No sockets, no threads."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.passed


class LoopClock:
    """The running loop's time as the service's clock."""

    def now(self) -> datetime:
        """The moment that belongs to the seconds."""
        return datetime.fromtimestamp(self.monotonic(), UTC)

    def monotonic(self) -> float:
        """The loop's seconds, and a thousand, because nobody starts at zero."""
        return asyncio.get_running_loop().time() + 1000.0

    async def sleep(self, seconds: float) -> None:
        """Wait on the loop."""
        await asyncio.sleep(seconds)
