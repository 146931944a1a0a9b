"""The audit trail over HTTP."""

from aiohttp import web

from kit.audit import service
from kit.http.routes import Route, query_of, reply
from onramp.audit import shapes
from onramp.services import SERVICES


async def listing(request: web.Request) -> web.StreamResponse:
    """The newest changes first."""
    query = query_of(request, shapes.AuditQuery)
    async with request.app[SERVICES].database.read_replica() as connection:
        entries = await service.page(connection, limit=query.limit + 1, before_id=query.cursor, subject=query.subject)
    return reply(shapes.page(list(entries), query.limit))


ROUTES = (
    Route("GET", "/api/v1/treasury/audit", listing, "viewer", "Who changed what, the newest first.", "audit",
          query=shapes.AuditQuery, answer=shapes.AuditPage),
)  # fmt: skip
