"""The audit log over HTTP."""

from aiohttp import web

from kit.audit import service as audit_service
from kit.http.documents import reply
from kit.http.moments import parse_moment
from kit.http.parsing import query_of
from kit.http.routing import Route
from onramp.treasury.common import BASE
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.schemas import audit


async def list_audit(request: web.Request) -> web.StreamResponse:
    """Return a page of audit rows, the newest first."""
    query = query_of(request, audit.AuditQuery)
    async with request.app[TREASURY].database.read_replica() as conn:
        entries = await audit_service.page(
            conn,
            limit=query.limit + 1,
            before_id=query.before,
            subject=query.subject,
            actor=query.actor,
            action=query.action,
            since=parse_moment(query.from_),
            until=parse_moment(query.to),
        )
    return reply(audit.page(list(entries), query.limit))


async def verify(request: web.Request) -> web.StreamResponse:
    """Return whether the hash chain over the audit log is valid, and its head."""
    newest = await request.app[TREASURY].audit_verifier.verify()
    return reply(audit.verification(newest.verdict, newest.at))


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
    Route(
        "GET",
        BASE + "/audit/verification",
        verify,
        access="viewer",
        summary="Whether the audit log is as it was written: the head of its hash chain, and the first row that is not valid.",
        name="audit_verification",
        response=audit.AuditVerificationResponse,
        timeout=120.0,  # it reads every row: a million take about half a minute
    ),
)
