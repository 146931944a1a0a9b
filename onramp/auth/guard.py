"""Check access: each kind of credential is resolved by its own package, and the role is compared with the route table."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import ValidationError

from kit import json
from kit.http.bearer import bearer_token, unauthorized
from kit.http.parsing import read_body
from kit.http.routing import ROUTE, Access, Route
from onramp.auth.roles import ALLOWED_ROLES, PRINCIPAL, Principal, forbidden, takes_code

Resolve = Callable[[str], Awaitable[Principal | None]]
"""A function that returns the caller behind a bearer token, None for an unknown token. It may raise a Problem with a more specific reason."""
CheckCode = Callable[[Principal, str], Awaitable[None]]
"""A function that checks a second-factor code of an enrolled key, and raises Problem 401 for an invalid or empty one."""
Refused = Callable[[Principal, Access, str], Awaitable[None]]
"""A function that records who tried a command without the required access: the caller, that access, and the path."""
COMMAND_ACCESS: frozenset[Access] = frozenset({"operator", "approver", "admin"})


class Guard:
    """Checks the bearer token of each request by trying each resolver in turn. Stripe and Prometheus are authenticated by their handlers."""

    def __init__(self, *resolvers: Resolve, check_code: CheckCode, refused: Refused) -> None:
        """Check with `resolvers`, one for each kind of token; `check_code` and `refused` are called for second factors and for refused commands."""
        self._resolvers = resolvers
        self._check_code = check_code
        self._refused = refused

    async def check(self, request: web.Request, access: Access) -> None:
        """Store the caller (Principal) on the request, unless the route needs no role.

        Raises Problem 401 for an unknown caller or a second-factor code that is missing or wrong, 403 for a caller without `access`.
        """
        if access not in ALLOWED_ROLES:
            return
        token = bearer_token(request)
        principal = None if token is None else await self._resolve(token)
        if principal is None:
            raise unauthorized()
        if principal.role not in ALLOWED_ROLES[access]:
            if access in COMMAND_ACCESS and request.method != "GET" and principal.role != "wallet":
                await self._refused(principal, access, request.rel_url.raw_path)
            raise forbidden(principal.role, access)
        route = request[ROUTE]
        if principal.second_factor and takes_code(route) and not (route.dry_run and await _is_dry_run(request, route)):
            await self._check_code(principal, request.headers.get("X-OTP", ""))
        request[PRINCIPAL] = principal

    async def _resolve(self, token: str) -> Principal | None:
        for resolve in self._resolvers:
            principal = await resolve(token)
            if principal is not None:
                return principal
        return None


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
