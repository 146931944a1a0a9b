"""Invitations over HTTP: an admin makes, lists and withdraws them; the holder of a link accepts the key."""

from datetime import timedelta

from aiohttp import web

from kit.http.documents import reply
from kit.http.parsing import body_of, query_of
from kit.http.routing import Route
from onramp.auth.api_keys import schemas as key_shapes
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.api_keys.routes import author_of
from onramp.auth.invitations import page, schemas
from onramp.auth.invitations import service as invitations_service
from onramp.auth.invitations.dependencies import INVITATIONS
from onramp.config.settings import Settings


def base_of(settings: Settings, asked: str) -> str:
    """Return the origin of the link: ONRAMP_API_URL, or the request's origin `asked`; in production https, because a proxy terminates TLS."""
    here = "https://" + asked.partition("://")[2] if settings.is_production else asked
    return settings.ONRAMP_API_URL.rstrip("/") or here


async def invite(request: web.Request) -> web.StreamResponse:
    """Make an invitation and return it with its link, which no other response contains."""
    services, author = request.app[INVITATIONS], author_of(request)
    body = body_of(request, schemas.CreateInvitation)
    token = invitations_service.new_token()
    async with services.database.write() as conn:
        item = await invitations_service.invite(
            conn,
            author,
            invitation_id=services.ids.new("inv_"),
            token=token,
            ring=services.settings.ring,
            role=body.role,
            name=body.name,
            person=body.person or body.name,
            valid_for=timedelta(hours=body.valid_hours),
        )
    base = base_of(services.settings, str(request.url.origin()))
    return reply(schemas.with_link(item, author.now, base, token), status=201)


async def listing(request: web.Request) -> web.StreamResponse:
    """Return a page of invitations, the newest first, without their links."""
    services, query = request.app[INVITATIONS], query_of(request, schemas.InvitationsQuery)
    async with services.database.read() as conn:
        items = await invitations_service.newest(conn, limit=query.limit + 1, before=query.before)
    return reply(schemas.listed(list(items), query.limit, services.clock.now()))


async def withdraw(request: web.Request) -> web.StreamResponse:
    """Close an open invitation and return it; one that is closed or accepted already is returned unchanged. Raises Problem 404 for an unknown id."""
    author = author_of(request)
    async with request.app[INVITATIONS].database.write() as conn:
        item = await invitations_service.withdraw(conn, author, request.match_info["id"])
    return reply(schemas.answer(item, author.now))


async def accept(request: web.Request) -> web.StreamResponse:
    """Accept an invitation and return its key with the secret, once."""
    services = request.app[INVITATIONS]
    secret = api_keys_service.new_secret()
    async with services.database.write() as conn:
        key = await invitations_service.accept(
            conn,
            token=body_of(request, schemas.Accept).token,
            ring=services.settings.ring,
            key_id=services.ids.new("key_"),
            secret=secret,
            now=services.clock.now(),
            is_production=services.settings.is_production,
        )
    return reply(key_shapes.with_secret(key, secret), status=201)


async def show(request: web.Request) -> web.StreamResponse:
    """Return the page that an invitation's link opens, as HTML."""
    del request
    return web.Response(text=page.HTML, content_type="text/html", headers=page.POLICY)


async def script(request: web.Request) -> web.StreamResponse:
    """Return the JavaScript of that page."""
    del request
    return web.Response(text=page.SCRIPT, content_type="text/javascript")


BASE = "/api/v1/admin/invitations"
ROUTES = (
    Route(
        "POST",
        BASE,
        invite,
        access="admin",
        summary="Invite somebody: a link that yields an API key, once.",
        name="invite",
        body=schemas.CreateInvitation,
        response=schemas.NewInvitation,
        status=201,
    ),
    Route(
        "GET",
        BASE,
        listing,
        access="admin",
        summary="Invitations.",
        name="list_invitations",
        query=schemas.InvitationsQuery,
        response=schemas.InvitationList,
    ),
    Route(
        "DELETE",
        BASE + "/{id}",
        withdraw,
        access="admin",
        summary="Close an invitation that nobody took.",
        name="withdraw_invitation",
        response=schemas.InvitationResponse,
    ),
    Route(
        "POST",
        "/api/v1/invitations/accept",
        accept,
        access="anyone",
        summary="Take the key of an invitation, once.",
        name="accept_invitation",
        body=schemas.Accept,
        response=key_shapes.NewKeyResponse,
        status=201,
        responses={404: "`invitation_invalid`: unknown, used, withdrawn or expired."},
        codes={404: ("invitation_invalid",)},
    ),
    Route(
        "GET",
        "/invitation",
        show,
        access="anyone",
        summary="The page behind an invitation's link.",
        name="invitation",
        allow_head=True,
        media=("text/html",),
    ),
    Route(
        "GET",
        "/invitation/page.js",
        script,
        access="anyone",
        summary="Its script.",
        name="invitation_script",
        allow_head=True,
        media=("text/javascript",),
    ),
)
