"""Check the URLs of receivers, which people outside choose, before anything is sent to them."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from yarl import URL

from kit.http.public_addresses import Address, is_loopback, is_public, parse_address

MAX_LENGTH: Final = 2_000
"""The most characters of a URL."""
PORTS: Final = frozenset({443, 8443})
"""The ports that a request may use unless the settings name others."""
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCAL_SUFFIXES: Final = ("localhost", "local", "internal", "intranet", "lan", "home.arpa", "in-addr.arpa", "ip6.arpa")
"""Names that a public name server never answers, or only within one network; `metadata.google.internal` is one of them."""


class UrlNotPublicError(ValueError):
    """A URL to which this service sends nothing; the message says why, for people, and holds nothing of the URL but its host and port."""

    code = "url_not_public"


@dataclass(frozen=True, slots=True)
class OutboundRules:
    """Where requests may go."""

    ports: frozenset[int] = PORTS
    """The allowed ports; with `development`, all ports are."""
    development: bool = False
    """Whether this computer's own addresses and plain HTTP are allowed as well."""

    def allows(self, address: Address) -> bool:
        """Return whether a connection to this address may be opened."""
        return is_public(address) or (self.development and is_loopback(address))


@lru_cache(maxsize=256)
def check_url(text: str, rules: OutboundRules) -> URL:
    """Return a URL as requests use it: its host in punycode, without a fragment. Raises UrlNotPublicError if nothing may be sent there.

    What the host's name resolves to is checked again for each connection, because it can change.
    """
    url = _parse(text)
    if url.scheme != "https" and not (rules.development and url.scheme == "http"):
        raise UrlNotPublicError("The URL must begin with https://.")
    if "@" in url.raw_authority:
        raise UrlNotPublicError("The URL must not hold a user name or a password. Messages are signed instead.")
    if not url.port:
        raise UrlNotPublicError("The port of the URL must be a number between 1 and 65535.")
    if not rules.development and url.port not in rules.ports:
        allowed = ", ".join(map(str, sorted(rules.ports)))
        raise UrlNotPublicError(f"The port {url.port} is not allowed. Allowed are: {allowed}.")
    _check_host((url.raw_host or "").lower(), rules)
    return url.with_fragment(None)


def _parse(text: str) -> URL:
    if len(text) > MAX_LENGTH:
        raise UrlNotPublicError(f"The URL must have at most {MAX_LENGTH} characters.")
    if not text.isprintable() or " " in text or "\\" in text:
        raise UrlNotPublicError("The URL must not hold spaces, backslashes or control characters.")
    try:
        return URL(text)
    except ValueError:
        # The reason of the parser would quote the URL, which may hold a secret.
        raise UrlNotPublicError("This is not a valid URL. It must look like https://shop.example/hooks.") from None


def _check_host(host: str, rules: OutboundRules) -> None:
    if address := parse_address(host):
        if not rules.allows(address):
            raise UrlNotPublicError(not_public(host))
        return
    name = host.removesuffix(".")
    if rules.development and (name == "localhost" or name.endswith(".localhost")):
        return
    labels = name.split(".")
    if not name or len(name) > 253 or not all(map(_is_label, labels)):
        raise UrlNotPublicError("The URL has no valid host name. It must look like https://shop.example/hooks.")
    if _NUMBER.fullmatch(labels[-1]):
        raise UrlNotPublicError(f"{name} is a number, not a host name. An IPv4 address is four numbers with dots.")
    if len(labels) == 1 or any(name == suffix or name.endswith(f".{suffix}") for suffix in _LOCAL_SUFFIXES):
        raise UrlNotPublicError(f"{name} is a name of a local network. Messages are sent to public addresses only.")


def _is_label(label: str) -> bool:
    if not _LABEL.fullmatch(label):
        return False
    if not label.startswith("xn--"):
        return True
    try:
        return bool(label[4:].encode().decode("punycode"))
    except UnicodeError:
        return False


def not_public(host: str) -> str:
    """Return the sentence that refuses a host because of its address, which is not named: it may be a secret of the local network."""
    return f"{host} is not a public address, or does not resolve to public addresses only. Messages are sent to public addresses only."
