"""Who may pass: each kind of credential is resolved by its own room, and the role is held against the route table."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import ValidationError

from kit import json
from kit.http.bearer import bearer_token, unauthorized
from kit.http.parsing import read_body
from kit.http.routing import ROUTE, Access, Route
from onramp.auth.roles import ALLOWED_ROLES, PRINCIPAL, Principal, forbidden, takes_code

Resolve = Callable[[str], Awaitable[Principal | None]]
"""Who a bearer token stands for; None where it stands for nobody. May raise a Problem that says more."""
CheckCode = Callable[[Principal, str], Awaitable[None]]
"""Take a code of an enrolled key, or raise Problem 401; an empty text is no code."""
Refused = Callable[[Principal, Access, str], Awaitable[None]]
"""Write down who tried an order that is not theirs: the role it asks for, and its path."""
ORDERS: frozenset[Access] = frozenset({"operator", "approver", "admin"})


class Guard:
    """Asks each room in turn. Stripe and Prometheus prove themselves in their handlers."""

    def __init__(self, *rooms: Resolve, check_code: CheckCode, refused: Refused) -> None:
        """`rooms`: how each kind of token is resolved."""
        self._rooms = rooms
        self._check_code = check_code
        self._refused = refused

    async def check(self, request: web.Request, who: Access) -> None:
        """Raise 401 for nobody we know, 403 for whoever may not; leave the Principal on the request."""
        if who not in ALLOWED_ROLES:
            return
        token = bearer_token(request)
        principal = None if token is None else await self._resolve(token)
        if principal is None:
            raise unauthorized()
        if principal.role not in ALLOWED_ROLES[who]:
            if who in ORDERS and request.method != "GET" and principal.role != "wallet":
                await self._refused(principal, who, request.rel_url.raw_path)
            raise forbidden(principal.role, who)
        route = request[ROUTE]
        if principal.second_factor and takes_code(route) and not (route.dry_run and await _is_dry_run(request, route)):
            await self._check_code(principal, request.headers.get("X-OTP", ""))
        request[PRINCIPAL] = principal

    async def _resolve(self, token: str) -> Principal | None:
        for room in self._rooms:
            principal = await room(token)
            if principal is not None:
                return principal
        return None


async def _is_dry_run(request: web.Request, route: Route) -> bool:
    """Whether the body asks only what an order would do, as its handler will read it; a body that cannot be read does not.

    aiohttp keeps the bytes for whoever parses the body afterwards.
    """
    if route.body is None:
        return False
    try:
        asked = route.body.model_validate(json.loads(await read_body(request, route.limit)))
    except (json.MalformedJson, ValidationError):
        return False
    return getattr(asked, "dry_run", False) is True
