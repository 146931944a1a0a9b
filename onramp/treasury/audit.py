"""The audit trail over HTTP."""

from aiohttp import web

from kit.audit import service as audit_service
from kit.http.routes import Route, query_of, reply
from onramp.bootstrap.services import SERVICES
from onramp.treasury.schemas import audit


async def listing(request: web.Request) -> web.StreamResponse:
    """The newest changes first."""
    query = query_of(request, audit.AuditQuery)
    async with request.app[SERVICES].database.read_replica() as connection:
        entries = await audit_service.page(
            connection, limit=query.limit + 1, before_id=query.cursor, subject=query.subject
        )
    return reply(audit.page(list(entries), query.limit))


ROUTES = (
    Route("GET", "/api/v1/treasury/audit", listing, "viewer", "Who changed what, the newest first.", "audit",
          query=audit.AuditQuery, answer=audit.AuditPage),
)  # fmt: skip
