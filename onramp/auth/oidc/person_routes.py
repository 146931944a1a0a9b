"""The provider's persons over HTTP: an admin lists them, ends their access, and gives it back."""

from typing import Final

from aiohttp import web

from kit.http.documents import reply
from kit.http.parsing import query_of
from kit.http.routing import Route
from onramp.auth.oidc import schemas
from onramp.auth.oidc import service as oidc_service
from onramp.auth.oidc.dependencies import OIDC
from onramp.auth.roles import principal_of


async def listing(request: web.Request) -> web.StreamResponse:
    """Return a page of the provider's persons who have logged in, by their first login, the newest first."""
    query = query_of(request, schemas.OidcPersonsQuery)
    async with request.app[OIDC].sessions.database.read() as conn:
        found = await oidc_service.newest(conn, limit=query.limit + 1, before=query.before)
    return reply(schemas.listed(found, query.limit))


async def revoke(request: web.Request) -> web.StreamResponse:
    """End a person's sessions at once, refuse further logins, and return the person."""
    sessions, actor = request.app[OIDC].sessions, principal_of(request).id
    async with sessions.database.write() as conn:
        now = sessions.clock.now()
        return reply(schemas.answer(await oidc_service.revoke(conn, request.match_info["id"], by=actor, now=now)))


async def restore(request: web.Request) -> web.StreamResponse:
    """Let a revoked person log in again, and return the person."""
    sessions, actor = request.app[OIDC].sessions, principal_of(request).id
    async with sessions.database.write() as conn:
        now = sessions.clock.now()
        return reply(schemas.answer(await oidc_service.restore(conn, request.match_info["id"], by=actor, now=now)))


BASE: Final = "/api/v1/admin/oidc-persons"
ROUTES: Final = (
    Route(
        "GET",
        BASE,
        listing,
        access="admin",
        summary="The provider's persons who have logged in to the console.",
        name="list_oidc_persons",
        query=schemas.OidcPersonsQuery,
        response=schemas.OidcPersonList,
    ),
    Route(
        "POST",
        BASE + "/{id}/revoke",
        revoke,
        access="admin",
        summary="End a person's sessions at once, and refuse further logins.",
        name="revoke_oidc_person",
        response=schemas.OidcPersonResponse,
    ),
    Route(
        "POST",
        BASE + "/{id}/restore",
        restore,
        access="admin",
        summary="Let a revoked person log in again.",
        name="restore_oidc_person",
        response=schemas.OidcPersonResponse,
    ),
)
"""The routes of the provider's persons."""
