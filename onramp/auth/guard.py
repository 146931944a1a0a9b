"""Check access: each kind of credential is resolved by its own package, and the role is compared with the route table."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from kit import json
from kit.http.bearer import bearer_token, unauthorized
from kit.http.parsing import read_body
from kit.http.problems import Problem
from kit.http.routing import ROUTE, Access, Route
from onramp.auth.passkey_header import ASSERTION, HEADER, parse
from onramp.auth.roles import ALLOWED_ROLES, PRINCIPAL, Principal, forbidden, takes_code

Resolve = Callable[[str], Awaitable[Principal | None]]
"""A function that returns the caller behind a bearer token, None for an unknown token. It may raise a Problem with a more specific reason."""
ResolveCookie = Callable[[web.Request, Access], Awaitable[Principal | None]]
"""A function that returns the caller behind a request's session cookie, None if no cookie counts on it. Raises Problem for an invalid one."""
CheckCode = Callable[[Principal, str], Awaitable[None]]
"""A function that checks a second-factor code of an enrolled key, and raises Problem 401 for an invalid or empty one."""
Refused = Callable[[Principal, Access, str], Awaitable[None]]
"""A function that records who tried a command without the required access: the caller, that access, and the path."""
COMMAND_ACCESS: frozenset[Access] = frozenset({"operator", "approver", "admin"})
ALWAYS_BY_SECOND_FACTOR: Final[frozenset[Access]] = frozenset({"approver", "admin"})
"""The access whose writes need a second factor from every console session: a stolen cookie alone approves nothing and makes no key."""


class Guard:
    """Checks the credential of each request: a bearer token, by trying each resolver in turn, or the console's session cookie.

    Stripe and Prometheus are authenticated by their handlers.
    """

    def __init__(self, *resolvers: Resolve, cookie: ResolveCookie, check_code: CheckCode, refused: Refused) -> None:
        """Check with `resolvers`, one for each kind of token, and with `cookie`.

        `check_code` is called for second factors, `refused` for refused commands.
        """
        self._resolvers = resolvers
        self._cookie = cookie
        self._check_code = check_code
        self._refused = refused

    async def check(self, request: web.Request, access: Access) -> None:
        """Store the caller (Principal) on the request, unless the route needs no role.

        Raises Problem 401 for an unknown caller or a second-factor code that is missing or wrong, 403 for a caller without `access`, for a
        cookie that another site may have sent, and for a console session that needs a second factor and has none.
        """
        if access not in ALLOWED_ROLES:
            return
        token = bearer_token(request)
        principal = await self._cookie(request, access) if token is None else await self._resolve(token)
        if principal is None:
            raise unauthorized()
        if principal.role not in ALLOWED_ROLES[access]:
            if access in COMMAND_ACCESS and request.method != "GET" and principal.role != "wallet":
                await self._refused(principal, access, request.rel_url.raw_path)
            raise forbidden(principal.role, access)
        route = request[ROUTE]
        if principal.console is not None and not principal.console.is_named and _is_command(route):
            raise _person_unknown()
        if route.signed_action and HEADER in request.headers:
            # Verified in the command's transaction, against the plan as it is then.
            request[ASSERTION] = parse(request.headers[HEADER])
        elif _needs_second_factor(principal, route) and not (route.dry_run and await _is_dry_run(request, route)):
            await self._check_second_factor(request, principal)
        request[PRINCIPAL] = principal

    async def _check_second_factor(self, request: web.Request, principal: Principal) -> None:
        if not principal.second_factor:
            raise _no_second_factor()
        await self._check_code(principal, request.headers.get("X-OTP", ""))

    async def _resolve(self, token: str) -> Principal | None:
        for resolve in self._resolvers:
            principal = await resolve(token)
            if principal is not None:
                return principal
        return None


def _needs_second_factor(principal: Principal, route: Route) -> bool:
    """Return whether this write needs a second factor of its caller.

    A key needs one if it has enrolled one. A console session needs one for what an approver or admin does, and one that began through a
    provider for every write, because its person has no key.
    """
    if not takes_code(route):
        return False
    if principal.console is None:
        return principal.second_factor
    is_always = principal.console.method == "oidc" or route.access in ALWAYS_BY_SECOND_FACTOR
    return is_always or principal.second_factor


def _is_command(route: Route) -> bool:
    return route.method not in {"GET", "HEAD"} and not route.path.startswith("/api/v1/console/sessions")


def _person_unknown() -> Problem:
    return Problem(
        403,
        "person_unknown",
        "You are logged in through the provider, and this service is not told who you are: you can read, and change nothing. Ask its "
        "administrator to name you in OIDC_PERSONS, or use an API key.",
    )


def _no_second_factor() -> Problem:
    return Problem(
        403,
        "second_factor_required",
        "In the console this needs a second factor, and you have enrolled none. Nothing was done; enrol one first, or send the API key itself "
        "as a bearer token.",
    )


async def _is_dry_run(request: web.Request, route: Route) -> bool:
    """Return whether the body, read as the handler will read it, asks for a dry run; False for an invalid body.

    aiohttp keeps the bytes, so the body can be parsed again afterwards.
    """
    if route.body is None:
        return False
    try:
        body = route.body.model_validate(json.loads(await read_body(request, route.limit)))
    except (json.MalformedJson, ValidationError):
        return False
    return getattr(body, "dry_run", False) is True
