"""The stream of changes over HTTP: what changed and its id, never its content."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal

import orjson
from aiohttp import web
from pydantic import Field, WithJsonSchema

from kit.db.database import DATABASE_ERRORS
from kit.http import sse
from kit.http.documents import Document
from kit.http.problems import Problem
from kit.http.routing import GUARD, LIMITER, Route
from onramp.live_changes.dependencies import LIVE_CHANGES
from onramp.live_changes.feed import Follower

ACCESS: Final = "viewer"
CHECK_SECONDS: Final = 2.0
"""How often the caller's key or session is checked again: a stream ends a few seconds after that was revoked."""


class ChangeEvent(Document):
    """One event of the stream, as a browser's `EventSource` passes it on."""

    id: str = Field(
        pattern="^[0-9]+$", description="A number that grows. The stream cannot be resumed: read again what is shown."
    )
    event: Literal["change"]
    data: Annotated[
        str,
        WithJsonSchema(
            {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {
                    "type": "object",
                    "properties": {"kind": {"type": "string"}, "id": {"type": "string"}},
                    "required": ["kind", "id"],
                },
                "description": "As JSON on one line: `kind` says what changed (`session`, `payout`, `sweep`, `pause`, `policy`,"
                " `settlement`, `incident`, `balance`, `alarm`, `notice`, `event`, `key`, `webhook`, `delivery`, `audit`), `id` which one."
                " The kind `everything`, with an empty id, says that changes may have been missed.",
            }
        ),
    ]


async def changes(request: web.Request) -> web.StreamResponse:
    """Stream what changes from now on, until the caller's key or session ends."""
    services = request.app[LIVE_CHANGES]
    with request.app[LIMITER].stream(request):
        # Before the response begins: a client that reads everything once the stream is open misses nothing.
        async with services.feed.follow() as follower:
            return await sse.stream(request, _events(request, follower), services.stopping)


async def _events(request: web.Request, follower: Follower) -> AsyncIterator[tuple[str, str, bytes]]:
    loop = asyncio.get_running_loop()
    check_at = loop.time() + CHECK_SECONDS
    while True:
        change = await follower.next(max(check_at - loop.time(), 0.0))
        if loop.time() >= check_at:
            if not await _is_still_allowed(request):
                return
            check_at = loop.time() + CHECK_SECONDS
        if change is not None:
            yield str(change.id), "change", orjson.dumps({"kind": change.kind, "id": change.subject})


async def _is_still_allowed(request: web.Request) -> bool:
    try:
        await request.app[GUARD].check(request, ACCESS)
    except Problem:
        return False
    except DATABASE_ERRORS:
        return True  # it cannot be checked now; nothing changes either, and it is checked again soon
    return True


ROUTES = (
    Route(
        "GET",
        "/api/v1/changes",
        changes,
        access=ACCESS,
        summary="What changes, live: a `change` event with kind and id within a second of the commit. Read again what you show. The stream ends"
        " when your key or session does.",
        name="changes",
        media=("text/event-stream",),
        timeout=None,
        codes={429: ("too_many_streams",)},
        event=ChangeEvent,
    ),
)
