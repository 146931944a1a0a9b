"""The types of single settings: the form that a value must have, independent of the other settings.

Each check returns the value as it is used, or raises ValueError. The message continues a sentence that begins with the setting's name
("takes addresses and networks such as ..."), and never contains the value.
"""

import hashlib
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, SecretStr
from yarl import URL

from chain.types import ZERO_ADDRESS, to_checksum
from kit.crypto.keyring import is_weak, parse_key
from kit.db.url import parse_url
from kit.mail.message import parse_mailbox
from kit.mail.server import parse_smtp_url
from kit.money import parse_units
from kit.notices.targets import parse_targets
from onramp.limits.rates import parse_rate

DEVELOPMENT_KEY: Final = hashlib.sha256(b"onramp development key: known to everyone").digest()
"""The key that development uses if none is set. It protects nothing: production refuses to start with it, and the doctor reports it."""

MAX_MINUTES: Final = 366 * 24 * 60
"""The limit of settings in minutes: one year. Much larger values would not fit a date."""


def is_weak_key(key: bytes) -> bool:
    """Return whether a key can be guessed: the development key, or one that was typed."""
    return key == DEVELOPMENT_KEY or is_weak(key)


def split(text: str) -> list[str]:
    """Return the items of a comma-separated value."""
    return [item.strip() for item in text.split(",") if item.strip()]


def networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Return the networks of a comma-separated value; a single address is a network of one. Raises ValueError for an item that is neither."""
    try:
        return [ipaddress.ip_network(item) for item in split(text)]
    except ValueError as error:
        raise ValueError("takes addresses and networks such as 10.0.0.0/8, no bit set behind the prefix") from error


def _require(condition: object, problem: str) -> None:
    if not condition:
        raise ValueError(problem)


def _matches(pattern: str, problem: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        _require(re.fullmatch(pattern, text), problem)
        return text

    return check


def _url(text: str) -> SplitResult | None:
    """Return the parts of a URL with a host; None for anything else."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname and not re.search(r"\s", text) else None


def _is_http(text: str) -> bool:
    parts = _url(text)
    return parts is not None and parts.scheme in {"http", "https"}


def _database(text: str) -> str:
    target = parse_url(text)
    url = target.url
    name = text.partition("?")[0].rpartition("/")[2] if url.database else ""
    is_odd = not target.is_sqlite and re.search(r"[\s,]", name)
    _require(not is_odd, "ends in a database name with white space or a comma; write it as %20 or %2C if it is meant")
    is_missing = target.is_sqlite and not Path(url.database or "").absolute().parent.is_dir()
    _require(not is_missing, "names a SQLite file in a folder that does not exist")
    return text


def _redis(text: str) -> str:
    parts = _url(text)
    is_socket = text.startswith("redis+unix:///")
    _require(is_socket or (parts and parts.scheme in {"redis", "rediss"}), "takes redis://host:6379, or rediss://")
    if not is_socket and parts is not None:
        number = parts.path.strip("/")
        _require(not number or number.isdigit(), "names its database by a number, such as redis://host:6379/0")
    try:
        from redis.asyncio import ConnectionPool

        ConnectionPool.from_url(text.removeprefix("redis+") if is_socket else text).make_connection()  # type: ignore[no-untyped-call] # untyped in the library
    except Exception:  # noqa: BLE001 - any error of the driver; its text may contain the value
        _require(False, "has a parameter that the driver does not take here: leave out what follows the question mark")
    return text


def _webhook_secrets(text: str) -> str:
    are_valid = all(re.fullmatch(r"whsec_[!-~]+", item) for item in split(text))
    _require(are_valid, "takes Stripe's signing secrets, comma-separated; each begins with whsec_")
    return text


def _http_url(text: str) -> str:
    _require(_is_http(text), "takes a base URL, such as https://api.example:8443")
    return text


def _address(text: str) -> str:
    address = to_checksum(text)
    _require(address != ZERO_ADDRESS, "is the zero address: what is sent there is lost")
    return address


def _addresses(text: str) -> str:
    return ",".join(to_checksum(item) for item in split(text))


def _amount(text: str) -> str:
    parse_units(text, 2)
    return text


def _rate(text: str) -> str:
    parse_rate(text)
    return text


def _networks(text: str) -> str:
    networks(text)
    return text


def _origins(text: str) -> str:
    return ",".join(dict.fromkeys(item if item == "*" else _origin(item) for item in split(text)))


def _origin(text: str) -> str:
    """Return an origin exactly as browsers send it: lower case, punycode, no default port, no trailing slash.

    https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin
    """
    problem = "takes exact origins such as https://app.example, without a path and without * in a name"
    parts = _url(text)
    _require(parts and parts.scheme in {"http", "https"} and re.fullmatch(r"[a-zA-Z]+://[^/?#@*\\]+/?", text), problem)
    try:
        url = URL(text).origin()
        host = url.raw_host or ""
    except ValueError as error:
        raise ValueError(problem) from error
    _require(":" in host or re.fullmatch(r"[a-z0-9._-]+", host), problem)
    port = "" if url.port == {"http": 80, "https": 443}[url.scheme] else f":{url.port}"
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def _dsn(text: str) -> str:
    parts = _url(text)
    is_dsn = parts and _is_http(text) and parts.username and parts.path.rpartition("/")[2].isdigit()
    _require(is_dsn, "is not a DSN: https://key@host/project is expected")
    return text


def _key_version(text: str) -> str:
    parts = ("projects", "locations", "keyRings", "cryptoKeys", "cryptoKeyVersions")
    _require(
        re.fullmatch("/".join(f"{part}/[^/\\s]+" for part in parts), text),
        f"takes the full name of a key version: {'/.../'.join(parts)}/1",
    )
    return text


def _host_and_port(text: str) -> str:
    parts = _url(f"//{text}")
    _require(parts and parts.port, "takes host:port")
    return text


def _smtp_url(text: str) -> str:
    parse_smtp_url(text)
    return text


def _notice_urls(text: str) -> str:
    parse_targets(text)
    return text


def _sender(text: str) -> str:
    parse_mailbox(text)
    return text


def _keys(text: str) -> str:
    for item in split(text):
        parse_key(item)
    return text


def _optional(check: Callable[[str], str]) -> AfterValidator:
    """Return the validator of a variable that may be empty, which means that it is not set."""
    return AfterValidator(lambda text: check(text) if text else text)


def _optional_secret(check: Callable[[str], str]) -> AfterValidator:
    """Return the validator of a secret that may be empty, which means that it is not set."""
    return AfterValidator(
        lambda value: SecretStr(check(value.get_secret_value())) if value.get_secret_value() else value
    )


def _hosts(text: str) -> str:
    hosts = list(dict.fromkeys(re.sub(r"^\[(.*)\]$", r"\1", item) for item in split(text)))
    are_valid = hosts and all(re.fullmatch(r"[\w.-]+", item) or _is_ipv6(item) for item in hosts)
    _require(
        are_valid,
        "takes names or addresses to listen at, comma-separated; :: listens everywhere, 0.0.0.0 on IPv4 alone",
    )
    return ",".join(hosts)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


_secret_key = _matches(r"[sr]k_[!-~]+", "takes Stripe's secret key, which begins with sk_ or rk_")
_publishable_key = _matches(r"pk_[!-~]+", "takes Stripe's publishable key, which begins with pk_; it is public")
_version = _matches(r"\d{4}-\d\d-\d\d[ -~]*", "takes a version of Stripe's API, which begins with its date")
_name = _matches(r"[a-z0-9_]+", "takes one of Stripe's names, in lower case")
_email = _matches(r"[^\s@,<>]+@[^\s@,<>]+", "takes an e-mail address such as help@shop.example")
_printed = _matches(
    r"[^\x00-\x09\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]+",
    "takes printable UTF-8 text and line breaks: receipts show it",
)
_token = _matches(r"[ -~]+", "takes printable ASCII characters only: it is sent in a header")

Hosts = Annotated[str, AfterValidator(_hosts)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(lambda value: SecretStr(_database(value.get_secret_value())))]
ReplicaUrl = Annotated[SecretStr, _optional_secret(_database)]
RedisUrl = Annotated[SecretStr, _optional_secret(_redis)]
SecretKey = Annotated[SecretStr, _optional_secret(_secret_key)]
PublishableKey = Annotated[str, _optional(_publishable_key)]
WebhookSecrets = Annotated[SecretStr, _optional_secret(_webhook_secrets)]
StripeVersion = Annotated[str, _optional(_version)]
StripeName = Annotated[str, AfterValidator(_name)]
Url = Annotated[str, AfterValidator(_http_url)]
OptionalAddress = Annotated[str, _optional(_address)]
Addresses = Annotated[str, AfterValidator(_addresses)]
Amount = Annotated[str, AfterValidator(_amount)]
OptionalAmount = Annotated[str, _optional(_amount)]
Rate = Annotated[str, AfterValidator(_rate)]
Networks = Annotated[str, AfterValidator(_networks)]
Origins = Annotated[str, AfterValidator(_origins)]
Email = Annotated[str, _optional(_email)]
SmtpUrl = Annotated[SecretStr, _optional_secret(_smtp_url)]
NoticeUrls = Annotated[SecretStr, _optional_secret(_notice_urls)]
OptionalUrl = Annotated[str, _optional(_http_url)]
SecretUrl = Annotated[SecretStr, _optional_secret(_http_url)]
Sender = Annotated[str, _optional(_sender)]
Printed = Annotated[str, _optional(_printed)]
Token = Annotated[SecretStr, _optional_secret(_token)]
Dsn = Annotated[SecretStr, _optional_secret(_dsn)]
KeyVersion = Annotated[str, _optional(_key_version)]
HostAndPort = Annotated[str, _optional(_host_and_port)]
Keys = Annotated[SecretStr, _optional_secret(_keys)]
