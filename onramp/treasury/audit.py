"""The audit log over HTTP."""

from aiohttp import web

from kit.audit import service as audit_service
from kit.http.documents import reply
from kit.http.parsing import query_of
from kit.http.routing import Route
from onramp.treasury.common import BASE
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.schemas import audit


async def list_audit(request: web.Request) -> web.StreamResponse:
    """Return a page of audit rows, the newest first."""
    query = query_of(request, audit.AuditQuery)
    async with request.app[TREASURY].database.read_replica() as conn:
        entries = await audit_service.page(conn, limit=query.limit + 1, before_id=query.before, subject=query.subject)
    return reply(audit.page(list(entries), query.limit))


ROUTES = (
    Route(
        "GET",
        BASE + "/audit",
        list_audit,
        access="viewer",
        summary="The audit log: who changed what, the newest first.",
        name="audit",
        query=audit.AuditQuery,
        response=audit.AuditPage,
    ),
)
