"""The audit trail over HTTP."""

from aiohttp import web

from kit.audit import service as audit_service
from kit.http.documents import reply
from kit.http.parsing import query_of
from kit.http.routing import Route
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.schemas import audit


async def listing(request: web.Request) -> web.StreamResponse:
    """The newest changes first."""
    query = query_of(request, audit.AuditQuery)
    async with request.app[TREASURY].database.read_replica() as connection:
        entries = await audit_service.page(
            connection, limit=query.limit + 1, before_id=query.cursor, subject=query.subject
        )
    return reply(audit.page(list(entries), query.limit))


ROUTES = (
    Route(
        "GET",
        "/api/v1/treasury/audit",
        listing,
        access="viewer",
        summary="Who changed what, the newest first.",
        name="audit",
        query=audit.AuditQuery,
        response=audit.AuditPage,
    ),
)
