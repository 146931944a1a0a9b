"""A transport that never touches a socket: the real pool speaks to scripted operators, thousands of times a minute.

It stands where aiohttp's session stands (`Pool(session=...)`), so everything from the HTTP status upwards is real.
"""

from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, Self

import orjson

Body = bytes | Exception | int
"""What comes back: bytes with status 200, an exception of the connection, or a bare HTTP status."""


class _Response:
    def __init__(self, body: Body) -> None:
        self._body = body
        self.status = body if isinstance(body, int) else 200
        self.headers = {"Retry-After": "1"} if body == 429 else {}
        self.content = SimpleNamespace(iter_chunked=self._chunks)

    async def _chunks(self, size: int) -> AsyncIterator[bytes]:
        if isinstance(self._body, bytes):
            for start in range(0, len(self._body), size):
                yield self._body[start : start + size]

    async def __aenter__(self) -> Self:
        if isinstance(self._body, Exception):
            raise self._body
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""


class ScriptedSession:
    """`speak(host, method, params)` decides: a result, or a `Body` in a `Raw`."""

    def __init__(self, speak: Callable[[str, str, list[Any]], Any]) -> None:
        """Nothing is sent yet."""
        self._speak = speak

    def post(self, url: str, *, data: bytes, **_: Any) -> _Response:
        """One exchange."""
        call = orjson.loads(data)
        said = self._speak(url.split("/")[2], call["method"], call["params"])
        if isinstance(said, Raw):
            return _Response(said.body)
        return _Response(orjson.dumps({"jsonrpc": "2.0", "id": call["id"], "result": said}))


class Raw:
    """Bytes, a status or an exception instead of an answer."""

    def __init__(self, body: Body) -> None:
        """Say what."""
        self.body = body
