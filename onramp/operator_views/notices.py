"""Notifications to operators, over HTTP."""

from aiohttp import web

from kit.http.documents import reply
from kit.http.parsing import query_of
from kit.http.routing import Route
from onramp.notices import service as notices_service
from onramp.operator_views.dependencies import OPERATOR_VIEWS
from onramp.operator_views.schemas import notices as schemas


async def list_notices(request: web.Request) -> web.StreamResponse:
    """Return a page of notifications, the newest first."""
    query = query_of(request, schemas.NoticesQuery)
    async with request.app[OPERATOR_VIEWS].database.read_replica() as conn:
        rows = await notices_service.newest(conn, query.limit + 1, query.before, status=query.status)
    return reply(schemas.notice_list(rows, query.limit))


ROUTES = (
    Route(
        "GET",
        "/api/v1/notices",
        list_notices,
        access="viewer",
        summary="Notifications to operators, with what became of each, the newest first.",
        name="list_notices",
        query=schemas.NoticesQuery,
        response=schemas.NoticeList,
    ),
)
