"""Who is asking, and what that role may. The route table says what each route needs; this says who has it."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from aiohttp import web

from kit.http.problems import Problem
from kit.http.routes import Route, Who

KeyRole = Literal["viewer", "operator", "approver", "admin"]
Role = KeyRole | Literal["wallet"]
KEY_ROLES: Final[tuple[Role, ...]] = get_args(KeyRole)
"""The roles that an API key may have."""

MAY: Final[dict[Who, frozenset[Role]]] = {
    "viewer": frozenset({"viewer", "operator", "approver", "admin"}),
    "operator": frozenset({"operator", "approver"}),
    "approver": frozenset({"approver"}),
    "admin": frozenset({"admin"}),
    "wallet": frozenset({"wallet"}),
}
"""An approver may do what an operator may, and both what a viewer may. An admin reads and manages keys, and moves no money."""


_OF_KEYS: Final = frozenset(who for who, roles in MAY.items() if not roles.isdisjoint(KEY_ROLES))
_READING: Final = frozenset({"GET", "HEAD"})


def takes_code(route: Route) -> bool:
    """Whether an enrolled key must give a code here: for every order that an API key gives, of whatever role. Reading needs none."""
    return route.who in _OF_KEYS and route.method not in _READING and route.needs_code


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller."""

    id: str
    """The key's id, or the wallet's address."""
    role: Role
    person: str
    """The name by which persons are compared: two keys of one person are one person, and proposer and approver must be two. A wallet's is its address."""
    second_factor: bool = False
    """Whether this key has enrolled one."""


PRINCIPAL = web.RequestKey("principal", Principal)


def principal_of(request: web.Request) -> Principal:
    """The caller, on a route that requires one."""
    principal: Principal | None = request.get(PRINCIPAL)
    if principal is None:
        message = "the route table lets anyone in here"
        raise TypeError(message)
    return principal


def unauthorized() -> Problem:
    """No credential, or one that is not valid: the same words for both, and for one that was valid once."""
    return Problem(
        401, "unauthorized", "Send a valid credential as a bearer token.", headers={"WWW-Authenticate": "Bearer"}
    )


def forbidden(role: Role, who: Who) -> Problem:
    """The caller is known, and the role does not suffice."""
    needs = "a wallet's login" if who == "wallet" else f"the role {who}"
    has = "a wallet's login" if role == "wallet" else f"the role {role}"
    return Problem(403, "forbidden", f"This needs {needs}; you have {has}.")


def bearer(request: web.Request) -> str | None:
    """The bearer token, or None (RFC 6750, 2.1: the scheme in any case, the token of ASCII letters)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token.isascii() and 0 < len(token) <= 4096 else None


VISITORS: Final[tuple[str, ...]] = ("nobody", "wallet", *KEY_ROLES)
"""Every kind of caller: the columns of the table of routes and roles."""


def may_enter(who: Who, visitor: str) -> bool:
    """Whether a route that is for `who` lets one of VISITORS in. Stripe and Prometheus prove themselves in the handler."""
    return who not in MAY or visitor in MAY[who]
