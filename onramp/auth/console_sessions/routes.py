"""Console sessions over HTTP: log in by an API key, read, list and end sessions."""

from typing import Final

from aiohttp import web

from kit.http.documents import reply
from kit.http.parsing import body_of, query_of
from kit.http.problems import not_found
from kit.http.routing import Route
from onramp.auth.console_sessions import schemas
from onramp.auth.console_sessions import service as console_sessions_service
from onramp.auth.console_sessions.cookie import clear_cookie, require_own_origin, require_transport, set_cookie
from onramp.auth.console_sessions.dependencies import CONSOLE_SESSIONS
from onramp.auth.console_sessions.login import log_in
from onramp.auth.console_sessions.model import ConsoleSession
from onramp.auth.roles import principal_of

OIDC_LOGIN_PATH: Final = "/console/oidc/login"
_NO_STORE: Final = {"Cache-Control": "no-store"}


async def config(request: web.Request) -> web.StreamResponse:
    """Return how persons can log in."""
    name = request.app[CONSOLE_SESSIONS].settings.oidc_name
    oidc = None if name is None else schemas.OidcLoginOption(name=name, url=OIDC_LOGIN_PATH)
    return reply(schemas.ConsoleConfigResponse(login=schemas.LoginOptions(key=True, oidc=oidc)), headers=_NO_STORE)


async def begin(request: web.Request) -> web.StreamResponse:
    """Exchange an API key for a session and return it; its secret is in the cookie."""
    services = request.app[CONSOLE_SESSIONS]
    require_own_origin(request, services.settings.public_origin)
    require_transport(request, services.settings)
    session, secret = await log_in(request, services, body_of(request, schemas.KeyLoginRequest))
    response = reply(await _document(request, session, session.id), status=201, headers=_NO_STORE)
    set_cookie(response, secret)
    return response


async def current(request: web.Request) -> web.StreamResponse:
    """Return the session of this request."""
    session = await _session(request, _current(request))
    return reply(await _document(request, session, session.id), headers=_NO_STORE)


async def log_out(request: web.Request) -> web.StreamResponse:
    """End the session of this request, and make the browser forget its cookie."""
    session = await _end(request, await _session(request, _current(request)), "console.logout")
    response = reply(await _document(request, session, session.id), headers=_NO_STORE)
    clear_cookie(response)
    return response


async def listing(request: web.Request) -> web.StreamResponse:
    """Return a page of the caller's valid sessions, an admin's of all, the newest first."""
    services, query, principal = (
        request.app[CONSOLE_SESSIONS],
        query_of(request, schemas.ConsoleSessionsQuery),
        principal_of(request),
    )
    async with services.database.read() as conn:
        sessions = await console_sessions_service.newest(
            conn,
            services.persons,
            services.clock.now(),
            caller_id=None if principal.role == "admin" else principal.id,
            limit=query.limit + 1,
            before=query.before,
        )
        persons = sorted({session.person for session in sessions})
        passkeys = {person: await services.count_passkeys(conn, person) for person in persons}
    current_id = principal.console.id if principal.console else None
    return reply(schemas.listed(sessions, query.limit, current=current_id, passkeys=passkeys), headers=_NO_STORE)


async def end(request: web.Request) -> web.StreamResponse:
    """End a session of the caller, an admin any session, and return it."""
    principal = principal_of(request)
    session = await _session(request, request.match_info["id"])
    if principal.role != "admin" and session.caller_id != principal.id:
        raise not_found("console session")
    is_own = principal.console is not None and principal.console.id == session.id
    session = await _end(request, session, "console.logout" if is_own else "console.end")
    response = reply(
        await _document(request, session, principal.console.id if principal.console else None), headers=_NO_STORE
    )
    if is_own:
        clear_cookie(response)
    return response


def _current(request: web.Request) -> str:
    console = principal_of(request).console
    if console is None:
        raise not_found("console session")
    return console.id


async def _session(request: web.Request, session_id: str) -> ConsoleSession:
    services = request.app[CONSOLE_SESSIONS]
    async with services.database.read() as conn:
        session = await console_sessions_service.get(conn, session_id, services.persons, services.clock.now())
    if session is None:
        raise not_found("console session")
    return session


async def _end(request: web.Request, session: ConsoleSession, action: str) -> ConsoleSession:
    services = request.app[CONSOLE_SESSIONS]
    async with services.database.write() as conn:
        await console_sessions_service.end(
            conn, session.id, by=principal_of(request).id, action=action, now=services.clock.now()
        )
    return session


async def _document(
    request: web.Request, session: ConsoleSession, current_id: str | None
) -> schemas.ConsoleSessionResponse:
    services = request.app[CONSOLE_SESSIONS]
    async with services.database.read() as conn:
        passkeys = await services.count_passkeys(conn, session.person)
    return schemas.answer(session, current=current_id, passkeys=passkeys)


BASE: Final = "/api/v1/console/sessions"
ROUTES: Final = (
    Route(
        "GET",
        "/api/v1/console/config",
        config,
        access="anyone",
        summary="How persons log in to the console.",
        name="console_config",
        response=schemas.ConsoleConfigResponse,
    ),
    Route(
        "POST",
        BASE,
        begin,
        access="anyone",
        summary="Log in to the console: an API key in, a session cookie out.",
        name="begin_console_session",
        body=schemas.KeyLoginRequest,
        response=schemas.ConsoleSessionResponse,
        status=201,
        limit=8192,
        responses={
            401: "`unauthorized`: the key is unknown or revoked; `otp_required` and `otp_invalid`: its second factor.",
            404: "The console is off (`CONSOLE`), or has a port of its own.",
            403: "`key_not_active`; `forbidden` for a dApp's key; `cross_site` and `https_required`: the page is not this console's.",
        },
        codes={
            401: ("unauthorized", "otp_required", "otp_invalid"),
            403: ("key_not_active", "forbidden", "cross_site", "https_required"),
            404: ("not_found",),
        },
    ),
    Route(
        "GET",
        f"{BASE}/current",
        current,
        access="viewer",
        summary="The console session of this request.",
        name="current_console_session",
        response=schemas.ConsoleSessionResponse,
        responses={404: "The request carries no session cookie."},
        codes={404: ("not_found",)},
    ),
    Route(
        "DELETE",
        f"{BASE}/current",
        log_out,
        access="viewer",
        summary="Log out: end the console session of this request.",
        name="end_current_console_session",
        response=schemas.ConsoleSessionResponse,
        needs_code=False,
        responses={404: "The request carries no session cookie."},
        codes={404: ("not_found",)},
    ),
    Route(
        "GET",
        BASE,
        listing,
        access="viewer",
        summary="The caller's valid console sessions; an admin's are all.",
        name="list_console_sessions",
        query=schemas.ConsoleSessionsQuery,
        response=schemas.ConsoleSessionList,
    ),
    Route(
        "DELETE",
        f"{BASE}/{{id}}",
        end,
        access="viewer",
        summary="End a console session of the caller; an admin ends any.",
        name="end_console_session",
        response=schemas.ConsoleSessionResponse,
        needs_code=False,
    ),
)
"""The routes of console sessions."""
