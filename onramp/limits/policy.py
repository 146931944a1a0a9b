"""Which route is limited how, and who the client is. Pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import limits

from kit.http.routes import Route

Kind = Literal["create", "read", "auth", "refused"]
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_V6_CLIENT: Final = 64
"""A household has this many bits of IPv6 in common; counting single addresses would count nobody."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in each window of so many seconds."""

    amount: int
    seconds: int


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
    if route.who == "stripe" or not route.path.startswith("/api/v1/"):
        return None
    if route.path.startswith(("/api/v1/auth/", "/api/v1/invitations")):
        return "auth"
    return "create" if route.name == "create_session" else "read"


def client_ip(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> Ip | None:
    """The right-most address of X-Forwarded-For that is no trusted proxy; the header counts only where the peer is one."""
    hops = [item.strip() for value in forwarded for item in value.split(",")]
    found = _address(peer or "")
    while found is not None and hops and is_within(found, trusted):
        before = _address(hops.pop())
        if before is None:
            break  # what no proxy of ours could have written tells nothing
        found = before
    return found


def client_address(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The same as the text that is counted by; IPv6 by its /64."""
    found = client_ip(peer, forwarded, trusted)
    if found is None:
        return "unknown"
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((found, _V6_CLIENT), strict=False))


def _address(text: str) -> Ip | None:
    if text.startswith("[") and "]" in text:
        text = text[1 : text.index("]")]
    elif text.count(":") == 1:  # an IPv4 address with its port
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_within(address: Ip, networks: Sequence[Network]) -> bool:
    """Whether one of the networks has it."""
    return any(address.version == network.version and address in network for network in networks)


def headers(kind: Kind, rate: Rate, left: int, reset: int) -> dict[str, str]:
    """How much is left, in the fields of draft-ietf-httpapi-ratelimit-headers, and in the older three that clients still read."""
    return {
        "RateLimit-Policy": f'"{kind}";q={rate.amount};w={rate.seconds}',
        "RateLimit": f'"{kind}";r={left};t={reset}',
        "RateLimit-Limit": str(rate.amount),
        "RateLimit-Remaining": str(left),
        "RateLimit-Reset": str(reset),
    }
