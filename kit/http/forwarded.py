"""Find a client's address behind trusted proxies.

aiohttp-remotes 1.4.0 was tried and is not used: `XForwardedFiltered` believes the header of any peer, trusted or not, `XForwardedStrict` needs
a fixed number of proxies, both refuse repeated headers and entries with a port, and both clone every request.
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_ip(peer: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> Ip | None:
    """Return the right-most address of the chain that is not a trusted proxy; None if `peer` is not an IP address.

    `peer` is the address of the connection, `forwarded` the values of its X-Forwarded-For headers in order. The header counts
    only while the address to its right is in `trusted`; an entry that cannot be parsed ends the search, because none of our proxies
    wrote it.
    """
    hops = [item.strip() for value in forwarded for item in value.split(",")]
    client = _parse(peer or "")
    while client is not None and hops and is_within(client, trusted):
        previous = _parse(hops.pop())
        if previous is None:
            break
        client = previous
    return client


def is_within(address: Ip, networks: Sequence[Network]) -> bool:
    """Return whether one of `networks` contains the address."""
    return any(address.version == network.version and address in network for network in networks)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Ip | None:
    if text.startswith("[") and "]" in text:
        text = text[1 : text.index("]")]
    elif text.count(":") == 1:  # an IPv4 address with its port
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
