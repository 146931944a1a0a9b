"""Server-sent events: one stream, heartbeats, and a clean end when the service stops.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from kit.http.connection import Connection

HEARTBEAT_SECONDS = 15.0


async def stream(
    request: web.Request, events: AsyncIterator[tuple[str, str, bytes]], stopping: asyncio.Event
) -> web.StreamResponse:
    """Send `(id, event, one-line data)` as they come, a comment every 15 s, until the client leaves or the service stops."""
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            # A proxy that compresses would keep events back until its buffer is full.
            "Cache-Control": "no-store, no-transform",
            "X-Accel-Buffering": "no",
        }
    )
    await response.prepare(request)
    if isinstance(request.protocol, Connection):
        request.protocol.is_stream = True
    # No blank line behind it: some clients take a block without data for an event.
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
