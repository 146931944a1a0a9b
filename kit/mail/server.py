"""The SMTP server that mail is handed to, as a URL names it."""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

FORMS: Final = "takes smtp://user:password@host:587 or smtps://user:password@host:465"
_PORTS: Final = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where and how to connect. The repr shows neither user nor password."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    """`implicit`: TLS from the first byte. `starttls`: nothing is sent before the server has upgraded. `none`: plain text, on this machine only."""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


def parse_smtp_url(url: str, *, allow_plain: bool = False) -> SmtpServer:
    """Return the server that a URL names: `smtps://` is implicit TLS, `smtp://` requires STARTTLS.

    `allow_plain`: an `smtp://` server on this machine (a loopback address or localhost) is used without TLS, as development mail catchers
    need. Raises ValueError without any part of the URL in its text.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(FORMS) from error
    host = parts.hostname or ""
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    is_complete = parts.scheme in _PORTS and host and not parts.query and not parts.fragment and parts.path in {"", "/"}
    if not is_complete or re.search(r"[\s\x00-\x1f\x7f]", host + user + password + url):
        raise ValueError(FORMS)
    if bool(user) != bool(password):
        raise ValueError(
            "takes a user with a password, or neither; special characters in them are written as %40 and so on"
        )
    tls: Literal["implicit", "starttls", "none"] = "implicit" if parts.scheme == "smtps" else "starttls"
    if allow_plain and tls == "starttls" and is_loopback(host):
        tls = "none"
    return SmtpServer(host, port or _PORTS[parts.scheme], tls, user, password)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine by its name: `localhost`, or a loopback address. No name is looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
