"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

aiohttp-sse 3.0 was tried and is not used: it overwrites `Cache-Control` (these streams must be `no-store, no-transform`), runs a second task
for each stream that pings busy ones as well, and copies and scans every event, which is one line of JSON here.
"""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from kit.http.connection import Connection

HEARTBEAT_SECONDS = 15.0
"""Seconds between comments on an idle stream, which make proxies keep it open."""


async def stream(
    request: web.Request, events: AsyncIterator[tuple[str, str, bytes]], stopping: asyncio.Event
) -> web.StreamResponse:
    """Send events until they end, the client leaves, or `stopping` is set. An idle stream gets a comment every HEARTBEAT_SECONDS.

    An event is `(id, event name, data)`; the data must be a single line.
    """
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            # A proxy that compresses would hold events back until its buffer is full.
            "Cache-Control": "no-store, no-transform",
            "X-Accel-Buffering": "no",
        }
    )
    await response.prepare(request)
    if isinstance(request.protocol, Connection):
        request.protocol.is_stream = True
    # Without a blank line: some clients treat a block without data as an event.
    await response.write(b"retry: 2000\n")
    stop = asyncio.ensure_future(stopping.wait())
    upcoming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait(
                {stop, upcoming}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if stop in done:
                break
            if not done:
                await response.write(b": still here\n\n")
                continue
            item = upcoming.result()
            if item is None:
                break
            number, event, data = item
            await response.write(b"id: %b\nevent: %b\ndata: %b\n\n" % (number.encode(), event.encode(), data))
            upcoming = asyncio.ensure_future(anext(events, None))
    except ConnectionResetError:
        pass
    finally:
        stop.cancel()
        upcoming.cancel()
        await asyncio.gather(stop, upcoming, return_exceptions=True)
    return response
