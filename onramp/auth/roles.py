"""Roles, and which roles have each access of the route table."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from aiohttp import web

from kit.http.problems import Problem
from kit.http.routing import Access, Route
from onramp.auth.role_names import KeyRole

Role = KeyRole | Literal["wallet"]
KEY_ROLES: Final[tuple[Role, ...]] = get_args(KeyRole)
"""The roles that an API key may have."""

ALLOWED_ROLES: Final[dict[Access, frozenset[Role]]] = {
    "viewer": frozenset({"viewer", "operator", "approver", "admin"}),
    "operator": frozenset({"operator", "approver"}),
    "approver": frozenset({"approver"}),
    "admin": frozenset({"admin"}),
    "wallet": frozenset({"wallet"}),
    "dapp": frozenset({"dapp", "operator", "approver"}),
    "purchases": frozenset({"wallet", "dapp", "viewer", "operator", "approver", "admin"}),
}
"""The roles that have each access. An access that is not listed here (`anyone`, `stripe`, `metrics`) takes no role: the handler checks it.

An approver may do what an operator may, and both may do what a viewer may. An admin reads and manages keys, and moves no money. A dapp,
the server of a dApp, creates and lists purchases and does nothing else.
"""

CALLERS: Final[tuple[str, ...]] = ("anonymous", "wallet", *KEY_ROLES)
"""Every kind of caller, `anonymous` being one without credentials: the columns of the table of routes and roles."""
_KEY_ACCESS: Final = frozenset(access for access, roles in ALLOWED_ROLES.items() if not roles.isdisjoint(KEY_ROLES))
_READ_METHODS: Final = frozenset({"GET", "HEAD"})


def may_call(access: Access, caller: str) -> bool:
    """Return whether a route with `access` lets in a caller, one of CALLERS. Stripe and Prometheus are checked by their handlers."""
    return access not in ALLOWED_ROLES or caller in ALLOWED_ROLES[access]


def takes_code(route: Route) -> bool:
    """Return whether an enrolled key must send a second-factor code: for writes, except on routes that need none, and never for reads."""
    return route.access in _KEY_ACCESS and route.method not in _READ_METHODS and route.needs_code


@dataclass(frozen=True, slots=True)
class ConsoleLogin:
    """The console session by which a caller is authenticated."""

    id: str
    """The session's id, `cs_...`; it is no secret."""
    method: Literal["key", "oidc"]
    """How the person logged in."""
    created_at: datetime
    """When the person logged in."""
    is_named: bool
    """Whether it is known who the person is; the provider's persons whom the settings do not name only read."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller."""

    id: str
    """The key's id, the wallet's address, or the id of a person who logged in through OpenID Connect. A console session is not a caller of
    its own: it has the id of the key that began it."""
    role: Role
    person: str
    """The name of the person behind the key: proposer and approver must differ by person, not only by key. A wallet's is its address."""
    second_factor: bool = False
    """Whether the caller's key has enrolled a second factor."""
    console: ConsoleLogin | None = None
    """The console session whose cookie the request carries; None for a bearer token."""


PRINCIPAL = web.RequestKey("principal", Principal)


def principal_of(request: web.Request) -> Principal:
    """Return the caller of the request. Raises TypeError on a route that anyone may use."""
    principal: Principal | None = request.get(PRINCIPAL)
    if principal is None:
        raise TypeError("the route table gives anyone access here")
    return principal


def forbidden(role: Role, access: Access) -> Problem:
    """Return the 403 for a caller whose role does not have `access`."""
    needs = "a wallet's login" if access == "wallet" else f"the role {access}"
    has = "a wallet's login" if role == "wallet" else f"the role {role}"
    return Problem(403, "forbidden", f"This needs {needs}; you have {has}.")
