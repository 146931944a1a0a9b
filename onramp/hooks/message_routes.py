"""The messages of outgoing webhooks over HTTP, with the exact text that is signed: for `onramp hooks listen` and `onramp hooks verify`."""

from datetime import UTC, datetime
from typing import Final

from aiohttp import web
from pydantic import Field

from kit.clock import rfc3339
from kit.db.paging import next_cursor
from kit.http.documents import Document, reply
from kit.http.moments import Moment
from kit.http.paging import PositionQuery
from kit.http.parsing import query_of
from kit.http.routing import Route
from onramp.hooks import message_log
from onramp.hooks.dependencies import HOOKS
from onramp.hooks.message_log import StoredMessage

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class MessagesQuery(PositionQuery):
    """The query of a page of messages, the oldest first."""

    since: Moment | None = Field(
        default=None, description="Only messages of events since this time; without it, all that are stored."
    )


class WebhookMessageResponse(Document):
    """A message that was planned for at least one endpoint."""

    id: str = Field(description="The header `webhook-id`.")
    type: str
    subject: str = Field(description="The id of what the event is about, such as a session's.")
    body: str = Field(description="The body as it is signed and sent, byte for byte.")
    created_at: str = Field(description="When the event happened.")


class WebhookMessageList(Document):
    """A page of messages, the oldest first."""

    data: list[WebhookMessageResponse]
    next_cursor: str | None


async def listing(request: web.Request) -> web.StreamResponse:
    """Return a page of messages, the oldest first."""
    query = query_of(request, MessagesQuery)
    moment = _EPOCH if query.since is None else datetime.fromisoformat(query.since)
    async with request.app[HOOKS].database.read() as conn:
        rows = await message_log.since(conn, moment, limit=query.limit + 1, after=query.before)
    page = [_response(row) for row in rows[: query.limit]]
    return reply(WebhookMessageList(data=page, next_cursor=next_cursor(rows, query.limit)))


async def read(request: web.Request) -> web.StreamResponse:
    """Return one message."""
    async with request.app[HOOKS].database.read() as conn:
        return reply(_response(await message_log.get(conn, request.match_info["id"])))


def _response(message: StoredMessage) -> WebhookMessageResponse:
    return WebhookMessageResponse(
        id=message.id,
        type=message.type,
        subject=message.subject,
        body=message.body,
        created_at=rfc3339(message.created_at),
    )


_BASE: Final = "/api/v1/admin/webhooks/messages"
ROUTES = (
    Route(
        "GET", _BASE, listing, access="admin", summary="The messages of the last 30 days, the oldest first, as they are sent.",
        name="list_webhook_messages", query=MessagesQuery, response=WebhookMessageList,
    ),
    Route(
        "GET", _BASE + "/{id}", read, access="admin", summary="One message, as it is sent.", name="read_webhook_message",
        response=WebhookMessageResponse,
    ),
)  # fmt: skip
