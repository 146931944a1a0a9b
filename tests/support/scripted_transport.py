"""A transport without sockets, and an event loop with virtual time.

The transport replaces aiohttp's session (`Pool(session=...)`), so everything above the HTTP status is real. The loop jumps to the
next timer when nothing else is ready, so a hang of ten seconds takes no time.
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
"""The response: bytes with status 200, an exception of the connection, or only an HTTP status."""


class Raw:
    """Bytes, a status or an exception instead of a JSON-RPC answer, `after` this many seconds."""

    def __init__(self, body: Body, after: float = 0.0) -> None:
        self.body = body
        self.after = after


class Late:
    """A result that comes `after` this many seconds."""

    def __init__(self, result: Any, after: float) -> None:
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
        """Do nothing: nothing is open."""


def _patience(timeout: aiohttp.ClientTimeout) -> float:
    """Return the seconds until aiohttp times out: by default it rounds long timeouts up to a full second of the loop's clock."""
    total, now = timeout.total or 0.0, asyncio.get_running_loop().time()
    return total if total < timeout.ceil_threshold else math.ceil(now + total) - now


class ScriptedSession:
    """A session whose answers `speak(host, method, params)` returns: a result, a `Late` result, or a `Raw` body."""

    def __init__(self, speak: Callable[[str, str, list[Any]], Any]) -> None:
        self._speak = speak
        self.requests: Counter[str] = Counter()

    def post(self, url: str, *, data: bytes, timeout: aiohttp.ClientTimeout, **_: Any) -> _Response:
        """Answer one request."""
        self.requests[url.split("/")[2]] += 1
        request, patience = orjson.loads(data), _patience(timeout)
        answers, after = [], 0.0
        for call in request if isinstance(request, list) else [request]:
            answer = self._speak(url.split("/")[2], call["method"], call["params"])
            if isinstance(answer, Raw):
                return _Response(answer.body, answer.after, patience)
            if isinstance(answer, Late):
                answer, after = answer.result, max(after, answer.after)
            answers.append({"jsonrpc": "2.0", "id": call["id"], "result": answer})
        return _Response(orjson.dumps(answers if isinstance(request, list) else answers[0]), after, patience)


class _Jumping(selectors.DefaultSelector):
    """A selector that adds the waiting time to `passed` instead of waiting."""

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
    """An event loop with a virtual clock, which advances to the next timer only when nothing is ready to run. It has no sockets and no threads."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._jumping.passed


class LoopClock:
    """A clock of the service that follows the running loop's time."""

    def now(self) -> datetime:
        """Return the wall time of the loop's seconds."""
        return datetime.fromtimestamp(self.monotonic(), UTC)

    def monotonic(self) -> float:
        """Return the loop's seconds plus a thousand, because real clocks do not start at zero."""
        return asyncio.get_running_loop().time() + 1000.0

    async def sleep(self, seconds: float) -> None:
        """Sleep on the loop."""
        await asyncio.sleep(seconds)
