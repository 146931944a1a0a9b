"""Parse database URLs as platforms, poolers and libpq write them.

Parameters that the driver supports are translated, those without meaning for it are dropped, and any other is refused by name: a parameter
that is silently ignored may have been the one that encrypted the connection or chose the schema.
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

import re
import ssl as ssl_module
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.engine import URL, make_url

_UNSUPPORTED: Final = "is not a supported database URL: use sqlite+aiosqlite:///file or postgresql://..."
POSTGRES: Final = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})
_MODES: Final = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})
_BOOLEANS: Final = {
    "true": True,
    "1": True,
    "on": True,
    "yes": True,
    "false": False,
    "0": False,
    "off": False,
    "no": False,
}
_DROPPED: Final = frozenset(
    {
        # Our own limits on each command replace them.
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
        # Options of libpq that the driver never uses.
        *("channel_binding", "krbsrvname", "gsslib", "gssdelegation", "client_encoding", "sslcompression", "sslsni"),
        *("fallback_application_name", "load_balance_hosts", "requirepeer"),
        # Pool settings of other programs, such as Prisma and node; our pool has its own settings.
        *(
            "connection_limit",
            "pool_timeout",
            "pool_mode",
            "socket_timeout",
            "max_idle_connection_lifetime",
            "uselibpqcompat",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed database URL: SQLAlchemy's URL, the driver's connect arguments, and whether it declares a pooler."""

    url: URL
    """The URL for SQLAlchemy, without the parameters that only the driver takes."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of `asyncpg.connect`."""
    pooled: bool = False
    """Whether the URL says that a pooler in transaction mode is in front of the server."""

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite, in a file or in memory."""
        return self.url.drivername.startswith("sqlite")


def parse_url(text: str) -> Target:
    """Parse a database URL of SQLite or Postgres.

    Raises ValueError if the URL or one of its parameters is not supported. The message continues a sentence that begins with the setting's
    name ("has the parameter sslmode: ..."), and never contains a value of the URL.
    """
    try:
        url = make_url(text)
    except Exception as error:
        raise ValueError(_UNSUPPORTED) from error
    if url.drivername in {"sqlite", "sqlite+aiosqlite"}:
        return Target(url.set(drivername="sqlite+aiosqlite"))
    if url.drivername not in POSTGRES:
        raise ValueError(_UNSUPPORTED)
    return _postgres(url.set(drivername="postgresql+asyncpg"))


def _postgres(url: URL) -> Target:
    given, kept = _split(url)
    pooled = _boolean(given, "pgbouncer")
    if _take(given, "gssencmode") == "require":
        raise _refused("gssencmode=require", "GSSAPI encryption is not supported; use sslmode=require")
    arguments = _encryption(given) | _limits(given)
    settings = _server_settings(given)
    if settings:
        arguments["server_settings"] = settings
    unknown = sorted(name for name in given if name not in _DROPPED)
    if unknown:
        names = ", ".join(
            name if re.fullmatch(r"[A-Za-z_]{1,40}", name) else "one with an unusual name" for name in unknown
        )
        raise _refused(names, "it is not supported; remove it from the URL")
    return Target(url.set(query=kept), arguments, pooled)


def _split(url: URL) -> tuple[dict[str, str], dict[str, Any]]:
    """Split the parameters into those read here, and those that SQLAlchemy reads itself (hosts, sockets)."""
    given: dict[str, str] = {}
    kept: dict[str, Any] = {}
    for name, value in url.query.items():
        if name in {"host", "port", "target_session_attrs"}:
            kept[name] = value
        else:
            given[name] = value if isinstance(value, str) else value[-1]
    return given, kept


def _limits(given: dict[str, str]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    seconds = _number(given, "connect_timeout")
    if seconds:
        arguments["timeout"] = max(seconds, 2)  # as libpq
    for name in ("statement_cache_size", "prepared_statement_cache_size"):
        size = _number(given, name)
        if size is not None:
            arguments[name] = size
    if passfile := _take(given, "passfile"):
        arguments["passfile"] = passfile
    return arguments


def _server_settings(given: dict[str, str]) -> dict[str, str]:
    """Return the settings sent to the server at login, such as `options` with a provider's endpoint, or the schema."""
    named = ("application_name", "options", "search_path", "timezone")
    settings = {name: value for name in named if (value := _take(given, name))}
    for alias in ("schema", "currentSchema"):
        if schema := _take(given, alias):
            settings["search_path"] = schema
    return settings


def _encryption(given: dict[str, str]) -> dict[str, Any]:
    """Translate libpq's `sslmode` and certificates to the driver's `ssl`, with the same meaning.

    `require` encrypts without verifying the server, as libpq does without a root certificate; `verify-ca` verifies the certificate, and
    `verify-full` the server's name as well.
    """
    mode = _take(given, "sslmode") or _take(given, "ssl") or ""
    mode = {"true": "require", "1": "require", "false": "disable", "0": "disable", "no-verify": "require"}.get(
        mode, mode
    )
    root, crl = _take(given, "sslrootcert"), _take(given, "sslcrl")
    certificate, key, password = _take(given, "sslcert"), _take(given, "sslkey"), _take(given, "sslpassword")
    lowest = _take(given, "ssl_min_protocol_version")
    _take(given, "ssl_max_protocol_version")
    direct = _take(given, "sslnegotiation") == "direct"
    if mode and mode not in _MODES:
        raise _refused("sslmode", f"takes one of {', '.join(sorted(_MODES))}")
    arguments: dict[str, Any] = {"direct_tls": True} if direct else {}
    if root == "system" and not mode:
        mode = "verify-full"
    if mode == "require" and root and root != "system":
        mode = "verify-ca"  # as libpq
    if mode not in {"verify-ca", "verify-full"}:
        if certificate or crl or (root and not mode):
            raise _refused("sslrootcert, sslcert or sslcrl", "add sslmode=verify-full, or the server is not verified")
        return arguments | ({"ssl": mode} if mode else {})
    context = _context(root, crl)
    context.check_hostname = mode == "verify-full"
    if certificate:
        _read("sslcert", lambda: context.load_cert_chain(certificate, key or None, password or None))
    if lowest == "TLSv1.3":
        context.minimum_version = ssl_module.TLSVersion.TLSv1_3
    return arguments | {"ssl": context}


def _context(root: str, crl: str) -> ssl_module.SSLContext:
    authorities = None if root in {"", "system"} else root
    context: ssl_module.SSLContext = _read("sslrootcert", lambda: ssl_module.create_default_context(cafile=authorities))
    if crl:
        _read("sslcrl", lambda: context.load_verify_locations(crl))
        context.verify_flags |= ssl_module.VERIFY_CRL_CHECK_LEAF
    return context


def _read(name: str, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl_module.SSLError) else None
        raise _refused(
            name, f"its file cannot be used ({reason or 'it contains no such certificate or key'})"
        ) from error


def _take(given: dict[str, str], name: str) -> str:
    return given.pop(name, "").strip()


def _number(given: dict[str, str], name: str) -> int | None:
    text = _take(given, name)
    if not text:
        return None
    if not text.isdecimal() or len(text) > 6:
        raise _refused(name, "takes a whole number")
    return int(text)


def _boolean(given: dict[str, str], name: str) -> bool:
    text = _take(given, name)
    if text and text.lower() not in _BOOLEANS:
        raise _refused(name, "takes true or false")
    return _BOOLEANS.get(text.lower(), False)


def _refused(name: str, reason: str) -> ValueError:
    return ValueError(f"has the parameter {name}: {reason}")
