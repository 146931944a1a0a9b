"""The login through the provider, as a browser goes through it."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from kit.http.problems import Problem, not_found
from kit.http.routing import Route
from onramp.auth.api_keys import person_names
from onramp.auth.console_sessions import service as console_sessions_service
from onramp.auth.console_sessions.cookie import require_transport, set_cookie
from onramp.auth.console_sessions.login import ANONYMOUS, note_refused
from onramp.auth.console_sessions.service import OidcLogin
from onramp.auth.oidc import service as oidc_service
from onramp.auth.oidc.dependencies import OIDC, OidcServices
from onramp.auth.oidc.errors import refused
from onramp.auth.oidc.flow import LIFETIME, Flow
from onramp.auth.oidc.page import failed
from onramp.config.oidc_settings import CALLBACK

COOKIE: Final = "__Host-onramp-oidc"
"""The cookie that binds a login to its browser. Lax, because the provider sends the browser back from another site."""
LOGIN: Final = "/console/oidc/login"
_PARAMETERS: Final = ("state", "code", "iss", "error")


async def begin(request: web.Request) -> web.StreamResponse:
    """Send the browser to the provider."""
    flow = _flow(request)
    try:
        begun = await flow.begin(request.cookies.get(COOKIE), _redirect_url(request, flow))
    except Problem as problem:
        return failed(request, problem)
    response = web.Response(status=303, headers={"Location": begun.url, "Cache-Control": "no-store"})
    response.set_cookie(
        COOKIE,
        begun.browser,
        max_age=int(LIFETIME.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="Lax",
    )
    return response


async def callback(request: web.Request) -> web.StreamResponse:
    """Complete the login of a browser that comes back from the provider, begin its session, and show the console."""
    flow, services = _flow(request), request.app[OIDC]
    query = {name: request.query[name] for name in _PARAMETERS if name in request.query}
    try:
        claims = await _claims(services, flow, query, request)
        secret = await _log_in(services, flow, claims)
    except Problem as problem:
        response = failed(request, problem)
    else:
        response = web.Response(status=303, headers={"Location": "/console", "Cache-Control": "no-store"})
        set_cookie(response, secret)
    response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Lax")
    return response


async def _claims(
    services: OidcServices, flow: Flow, query: Mapping[str, str], request: web.Request
) -> Mapping[str, Any]:
    try:
        if "error" in query:
            # The provider's own text is not shown: anybody can link to this address with another one.
            raise refused(
                f"{flow.provider.config.name} did not log you in. Nothing was done; begin again, or ask its administrator whether you may use "
                "this console."
            )
        if any(len(request.query.getall(name)) > 1 for name in query):
            query = {}
        return await flow.finish(query, request.cookies.get(COOKIE), _redirect_url(request, flow))
    except Problem as problem:
        if problem.status != 503:
            await note_refused(services.sessions, ANONYMOUS, problem.code)
        raise


async def _log_in(services: OidcServices, flow: Flow, claims: Mapping[str, Any]) -> str:
    """Begin a session for the person with these claims, and return its secret. Raises Problem 403 for a person who may not log in."""
    config, sessions = flow.provider.config, services.sessions
    role = config.role_of(claims)
    identity_id = oidc_service.identity_id(config.issuer, claims["sub"])
    problem = None
    async with sessions.database.write() as conn:
        now = sessions.clock.now()
        named = config.persons.names.get(claims["sub"])
        clash = None if named is None else await _clash(conn, named)
        if clash is None and role is not None:
            identity = await oidc_service.note_login(conn, config.issuer, claims, config.persons.names, now)
            if identity.revoked_at is not None:
                problem = refused("An admin has ended your access to this console. Nothing was done; ask them.")
        elif role is None:
            problem = refused(
                f"You are logged in at {config.name}, and none of your groups there may use this console. Nothing was done; ask its administrator, "
                "or the administrator of this service about OIDC_ROLES."
            )
        else:
            problem = refused(
                "OIDC_PERSONS gives you a name that looks like another person's, so approvals could not be told apart. Nothing was done; ask "
                "the administrator of this service to write it as on your API key, or more clearly."
            )
        if problem is None and role is not None:
            session_id, secret = sessions.ids.new("cs_"), console_sessions_service.new_secret()
            login = OidcLogin(identity_id, role, config.persons.configuration)
            await console_sessions_service.begin(conn, session_id, secret, login, sessions.ring, now)
            return secret
    assert problem is not None
    await note_refused(sessions, identity_id, problem.code)
    raise problem


async def _clash(conn: Any, named: str) -> Problem | None:
    try:
        await person_names.require(conn, named)
    except Problem as problem:
        return problem
    return None


def _flow(request: web.Request) -> Flow:
    services = request.app[OIDC]
    require_transport(request, services.settings)
    if services.flow is None:
        raise not_found("provider to log in through")
    return services.flow


def _redirect_url(request: web.Request, flow: Flow) -> str:
    if flow.provider.config.redirect_url:
        return flow.provider.config.redirect_url
    # Not in production, which requires one of the settings.
    return f"{request.scheme}://{request.host}{CALLBACK}"


_CODES: Final = {
    401: ("oidc_invalid",),
    403: ("oidc_refused", "https_required"),
    404: ("not_found",),
    503: ("oidc_unavailable",),
}
_RESPONSES: Final = {
    401: "The login cannot be completed.",
    403: "The person may not log in, or the page was opened over http.",
    404: "No provider is configured.",
    503: "The provider does not answer as it should.",
}
ROUTES: Final = (
    Route(
        "GET",
        LOGIN,
        begin,
        access="anyone",
        summary="Log in to the console through the configured provider.",
        name="begin_oidc_login",
        media=("text/html",),
        responses=_RESPONSES,
        codes=_CODES,
        status=303,
    ),
    Route(
        "GET",
        CALLBACK,
        callback,
        access="anyone",
        summary="Where the provider sends the browser back.",
        name="finish_oidc_login",
        media=("text/html",),
        responses=_RESPONSES,
        codes=_CODES,
        status=303,
    ),
)
"""The routes that a browser follows."""
