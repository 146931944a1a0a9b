"""The facts that a dApp may give about its buyer: its own reference for the purchase, where the buyer goes back to, and the buyer's language."""

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

MAX_REFERENCE_LENGTH: Final = 200
MAX_URL_LENGTH: Final = 2048
MAX_LOCALE_LENGTH: Final = 35
"""The length in characters of the longest tag that software must accept (RFC 5646, section 4.4.1)."""
LOCALES: Final = ("en", "de", "es", "fr", "it", "pt-BR", "ja", "ko", "zh-Hans")
"""The languages that buyers are served in."""
_LANGUAGES: Final = frozenset(tag.partition("-")[0] for tag in LOCALES)
_TAG: Final = re.compile(
    r"([a-z]{2,3})(-[a-z]{4})?(-(?:[a-z]{2}|[0-9]{3}))?((?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)",
    re.ASCII | re.IGNORECASE,
)
"""A language tag: language, script, region and variants (RFC 5646, section 2.1); extensions and private subtags name no language."""
_URL: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
"""The characters of a URL (RFC 3986). Browsers read others, such as a backslash, in ways of their own."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def reference(text: str) -> str:
    """Return the text. Raises ValueError if it cannot be a reference."""
    if not 1 <= len(text) <= MAX_REFERENCE_LENGTH:
        raise ValueError(f"must have 1 to {MAX_REFERENCE_LENGTH} characters")
    if not text.isprintable() or text.strip() != text:
        raise ValueError("must consist of printable characters, without a space at its ends")
    if "<" in text or ">" in text:
        raise ValueError("must not contain < or >")
    return text


def return_url(text: str) -> str:
    """Return the text. Raises ValueError if it cannot be a web address. `is_allowed` checks its origin."""
    if len(text) > MAX_URL_LENGTH:
        raise ValueError(f"must have at most {MAX_URL_LENGTH} characters")
    if not _URL.fullmatch(text) or origin_of(text) is None:
        raise ValueError("must be an http or https URL without user name and password")
    return text


def origin_of(url: str) -> str | None:
    """Return the origin of a URL as browsers send it; None for a URL that has none, or that carries credentials."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc:
        return None
    shown_port = "" if port is None or port == _DEFAULT_PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{shown_port}"


def is_allowed(url: str, origins: Collection[str]) -> bool:
    """Return whether the origin of a URL is one of `origins`; `*` among them allows any."""
    return "*" in origins or origin_of(url) in origins


def locale(text: str) -> str:
    """Return a BCP 47 tag in its usual case, such as `pt-BR`. Raises ValueError if no buyer is served in its language."""
    match = _TAG.fullmatch(text) if len(text) <= MAX_LOCALE_LENGTH else None
    if match is None or match[1].lower() not in _LANGUAGES:
        raise ValueError(f"must be a BCP 47 tag of one of these languages: {', '.join(LOCALES)}")
    language, script, region, variants = (part or "" for part in match.groups())
    return f"{language.lower()}{script.title()}{region.upper()}{variants.lower()}"
