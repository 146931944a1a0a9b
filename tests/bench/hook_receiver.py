"""A receiver of webhooks that costs little itself: `python -m tests.bench.hook_receiver PORT` answers every POST with 200."""

import asyncio
import sys
from typing import cast

import uvloop

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class _Receiver(asyncio.Protocol):
    """One connection; requests have a Content-Length, as aiohttp's client sends them."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, mark, body = self._buffer.partition(b"\r\n\r\n")
        if not mark:
            return
        lowered = head.lower()
        start = lowered.find(b"content-length:") + len(b"content-length:")
        end = lowered.find(b"\r\n", start)
        if len(body) >= int(lowered[start : end if end >= 0 else None]):
            self._buffer = b""
            assert self._transport is not None
            self._transport.write(_OK)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Receiver, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1])))
