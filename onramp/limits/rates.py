"""Which route is limited how, and who the client is. Pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import limits

from kit.http.forwarded import Ip, Network, client_ip
from kit.http.routing import Route

Kind = Literal["create", "read", "auth", "refused", "create_total"]
_V6_CLIENT: Final = 64
"""A household has this many bits of IPv6 in common; counting single addresses would count nobody."""
WIDTHS: Final = {4: ((32, 1), (24, 8)), 6: ((_V6_CLIENT, 1), (56, 1), (48, 8))}
"""By IP version, the (bits, times) that a client is counted by: all who share so many bits get so many times the rate of one.

IPv6: providers give a customer a /56 or a /48, hence 256 or 65,536 networks of 64 bits (RIPE-690, RFC 6177), so a /56 counts as one
client and a /48 as a few. IPv4: a /24 is the smallest network that is routed by itself; in it live a provider's customers, or the
addresses that a mobile carrier translates to, and each of those already counts as one client.
"""
WALLET_TIMES: Final = 2
"""All wallets of one address together get so many times the rate of one: a wallet is made in a moment, for nothing."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in each window of so many seconds."""

    amount: int
    seconds: int

    def times(self, factor: int) -> "Rate":
        """So many times as many in the same window."""
        return _multiplied(self, factor)


@lru_cache(maxsize=64)
def _multiplied(rate: Rate, factor: int) -> Rate:
    return Rate(rate.amount * factor, rate.seconds)


@dataclass(frozen=True, slots=True)
class Scope:
    """Some who are counted together, by the name that they are counted under."""

    name: str
    times: int
    """How many times the rate of one client they get."""


@lru_cache(maxsize=4096)
def scopes(client: Ip | None) -> tuple[Scope, ...]:
    """Who is counted together with this client, the fewest first: its address (IPv6: its /64), then its networks."""
    if client is None:
        return (Scope("unknown", 1),)
    return tuple(Scope(_network(client, bits), times) for bits, times in WIDTHS[client.version])


def _network(client: Ip, bits: int) -> str:
    return str(client) if bits == 32 else str(ipaddress.ip_network((client, bits), strict=False))


def at_least(total: Rate | None, one: Rate | None) -> Rate | None:
    """The rate of all clients together: none where one client has none, and never less than one client's."""
    if total is None or one is None:
        return None
    return one if total.amount * one.seconds < one.amount * total.seconds else total


def parse_rate(text: str) -> Rate | None:
    """In the notation of the `limits` library, such as 30/minute or 5 per 10 seconds; empty: none. ValueError for anything else."""
    if not text.strip():
        return None
    try:
        item = limits.parse(text)
        if item.amount < 1:
            raise ValueError(text)
    except ValueError as error:
        raise ValueError("is no rate: write it as 30/minute, or leave it empty for none") from error
    return Rate(item.amount, item.get_expiry())


def kind_of(route: Route) -> Kind | None:
    """What a route counts as. Stripe, platforms and the page's own files are never limited: buyers cannot starve them."""
    if route.access == "stripe" or not route.path.startswith("/api/v1/"):
        return None
    if route.path.startswith(("/api/v1/auth/", "/api/v1/invitations")):
        return "auth"
    return "create" if route.name == "create_session" else "read"


def client_address(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The same as the text that is counted by; IPv6 by its /64."""
    return scopes(client_ip(peer, forwarded, trusted))[0].name


def headers(kind: Kind, rate: Rate, left: int, reset: int) -> dict[str, str]:
    """How much is left, in the fields of draft-ietf-httpapi-ratelimit-headers, and in the older three that clients still read."""
    return {
        "RateLimit-Policy": f'"{kind}";q={rate.amount};w={rate.seconds}',
        "RateLimit": f'"{kind}";r={left};t={reset}',
        "RateLimit-Limit": str(rate.amount),
        "RateLimit-Remaining": str(left),
        "RateLimit-Reset": str(reset),
    }
