"""Rates, the kinds of routes they apply to, and the groups in which clients are counted. Pure functions."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import limits

from kit.http.forwarded import Ip, Network, client_ip
from kit.http.routing import Route

LimitKind = Literal["create", "read", "auth", "refused", "create_total"]
_V6_CLIENT: Final = 64
"""The prefix length of the IPv6 network that one household has; counting single addresses would limit no one."""
WIDTHS: Final = {4: ((32, 1), (24, 8)), 6: ((_V6_CLIENT, 1), (56, 1), (48, 8))}
"""The groups in which clients are counted, by IP version: (prefix bits, factor), where the group gets `factor` times the rate of one client.

IPv6: providers give a customer a /56 or a /48, hence 256 or 65,536 networks of 64 bits (RIPE-690, RFC 6177), so a /56 counts as one
client and a /48 as a few. IPv4: a /24 is the smallest network that is routed by itself; it holds a provider's customers, or the
addresses that a mobile carrier translates to, and each of those already counts as one client.
"""
WALLET_TIMES: Final = 2
"""How many times the rate of one wallet all wallets at one address get together: creating a wallet is instant and free."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit of at most `amount` requests in each window of `seconds`."""

    amount: int
    seconds: int

    def times(self, factor: int) -> "Rate":
        """Return the rate with `factor` times the amount in the same window."""
        return _multiplied(self, factor)


@lru_cache(maxsize=64)
def _multiplied(rate: Rate, factor: int) -> Rate:
    return Rate(rate.amount * factor, rate.seconds)


@dataclass(frozen=True, slots=True)
class Scope:
    """A group of clients that are counted together under one name."""

    name: str
    times: int
    """How many times the rate of one client the group gets."""


@lru_cache(maxsize=4096)
def scopes(client: Ip | None) -> tuple[Scope, ...]:
    """Return the groups that this client is counted in, smallest first: its address (IPv6: its /64), then its networks."""
    if client is None:
        return (Scope("unknown", 1),)
    return tuple(Scope(_network(client, bits), times) for bits, times in WIDTHS[client.version])


def _network(client: Ip, bits: int) -> str:
    return str(client) if bits == 32 else str(ipaddress.ip_network((client, bits), strict=False))


def at_least(total: Rate | None, single: Rate | None) -> Rate | None:
    """Return the limit for all clients together, at least the rate of one client; None if either is unlimited."""
    if total is None or single is None:
        return None
    return single if total.amount * single.seconds < single.amount * total.seconds else total


def parse_rate(text: str) -> Rate | None:
    """Parse the notation of the `limits` library, such as 30/minute or 5 per 10 seconds; None for an empty text, which means no limit.

    Raises ValueError for any other text.
    """
    if not text.strip():
        return None
    try:
        item = limits.parse(text)
        if item.amount < 1:
            raise ValueError(text)
    except ValueError as error:
        raise ValueError("is not a rate: write it as 30/minute, or leave it empty for no limit") from error
    return Rate(item.amount, item.get_expiry())


def kind_of(route: Route) -> LimitKind | None:
    """Return the kind of limit that applies to a route; None if it is not limited.

    Stripe, platforms and the checkout page's files are never limited, so that buyers cannot starve them.
    """
    if route.path.startswith("/console/oidc/"):
        return "auth"
    if route.access == "stripe" or not route.path.startswith("/api/v1/"):
        return None
    if route.path.startswith(("/api/v1/auth/", "/api/v1/invitations")) or route.name == "begin_console_session":
        return "auth"
    return "create" if route.name == "create_session" else "read"


def client_address(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the name under which the client behind trusted proxies is counted; IPv6 by its /64."""
    return scopes(client_ip(peer, forwarded, trusted))[0].name


def headers(kind: LimitKind, rate: Rate, remaining: int, reset: int) -> dict[str, str]:
    """Return the response headers that show the remaining requests: of draft-ietf-httpapi-ratelimit-headers, and the older three still in use."""
    return {
        "RateLimit-Policy": f'"{kind}";q={rate.amount};w={rate.seconds}',
        "RateLimit": f'"{kind}";r={remaining};t={reset}',
        "RateLimit-Limit": str(rate.amount),
        "RateLimit-Remaining": str(remaining),
        "RateLimit-Reset": str(reset),
    }
