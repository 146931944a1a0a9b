"""Public IP addresses: those which a request to an address that somebody else chose may reach.

Everything else is refused: private, loopback and link-local networks, the metadata services of cloud providers, and the IPv6 forms in which an
IPv4 address of that kind can be written.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

_FORBIDDEN_V4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT; Alibaba Cloud's metadata
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure's platform services, reachable from each of its machines
            "169.254.0.0/16",  # link-local; the metadata of most clouds at 169.254.169.254
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments; Oracle Cloud's metadata
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays, withdrawn
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
"""IANA's special-purpose registry, https://www.iana.org/assignments/iana-ipv4-special-registry, and two addresses of cloud providers."""
_GLOBAL_V6: Final = IPv6Network("2000::/3")
"""The only global unicast addresses that IANA has assigned. Unique local (fd00:ec2::254 is Amazon's metadata), link-local, multicast,
loopback and the translation prefix 64:ff9b:1::/48 lie outside."""
_FORBIDDEN_V6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which leads to any IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)
_EMBEDDED_V4: Final = tuple(
    map(
        IPv6Network,
        (
            "::ffff:0:0/96",  # IPv4-mapped
            "64:ff9b::/96",  # NAT64: in a network without IPv4, every public IPv4 host resolves to such an address
        ),
    )
)


def is_public(address: Address) -> bool:
    """Return whether an address is reachable by anyone. An IPv6 form that leads to an IPv4 address is judged by that address."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _FORBIDDEN_V4)
    if any(address in network for network in _EMBEDDED_V4):
        return is_public(_last_32_bits(address))
    return address in _GLOBAL_V6 and not any(address in network for network in _FORBIDDEN_V6)


def is_loopback(address: Address) -> bool:
    """Return whether an address is this computer's own, IPv4-mapped forms included."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def parse_address(text: str) -> Address | None:
    """Return the address that a text spells in its usual form; None for anything else, such as a name or `127.1`."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def _last_32_bits(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)
