"""Send HTTP requests to addresses that somebody else chose, without reaching the network that this service runs in.

A name is resolved, all its addresses are checked, and the connection is opened to a checked address under the original name (`Host`, SNI,
certificate). So a name server cannot answer the check with one address and the connection with another. Redirects are not followed,
proxies of the environment are not used, and each attempt is limited in time and in what it reads.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from kit.http.outbound_urls import OutboundRules, UrlNotPublicError, check_url, not_public
from kit.http.public_addresses import parse_address

SECONDS: Final = 15.0
"""The most that an attempt may take, from the name server's answer to the end of the response."""
MAX_BODY: Final = 2_048
"""How many bytes of a response's body are read; the rest is not waited for."""
_MAX_CONNECTIONS: Final = 256
_RESOLVING_THREADS: Final = 16
_KEEP_ALIVE_SECONDS: Final = 4
"""How long an idle connection is kept. Node's server closes its own after 5 s, and a request on a closing connection fails."""
_RESOLVED_SECONDS: Final = 10
"""How long the checked addresses of a name are used again."""

FailureKind = Literal["url_not_public", "dns", "connect", "certificate", "tls", "timeout", "disconnected", "protocol"]
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A function that returns the IP addresses of a host name, as texts. Raises OSError if it has none."""


@dataclass(frozen=True, slots=True)
class OutboundResponse:
    """What a receiver answered; a redirect is a response like any other."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """The response's headers, names in any case."""
    body: bytes = field(repr=False)
    """At most the first MAX_BODY bytes."""


@dataclass(frozen=True, slots=True)
class OutboundFailure:
    """An attempt without a complete response. The receiver may have processed the request all the same, except for `never_sent`."""

    kind: FailureKind
    reason: str
    """A sentence for people; it names at most the host of the URL, because path and query may be secret."""

    @property
    def never_sent(self) -> bool:
        """Whether it is certain that nothing reached the receiver."""
        return self.kind in ("url_not_public", "dns", "connect", "certificate", "tls")


OutboundResult = OutboundResponse | OutboundFailure


class _NotPublicError(OSError):
    """A host has an address that requests may not reach."""


class OutboundClient:
    """An HTTP client for addresses that somebody else chose. It opens connections when they are first needed; `close` closes them."""

    def __init__(
        self,
        rules: OutboundRules,
        *,
        seconds: float = SECONDS,
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.rules = rules
        self._seconds = seconds
        self._resolver = _CheckingResolver(rules, resolve)
        self._ssl_context = ssl_context
        self._session: aiohttp.ClientSession | None = None

    def check_url(self, text: str) -> URL:
        """Return the URL as it is used. Raises UrlNotPublicError if its text alone shows that nothing may be sent there."""
        return check_url(text, self.rules)

    async def check_destination(self, text: str) -> None:
        """Raise UrlNotPublicError if nothing may be sent to a URL, by its text or by what its name resolves to now.

        A name that does not resolve passes: it may be on its way, and every attempt checks it again.
        """
        url = check_url(text, self.rules)
        host = url.raw_host or ""
        if parse_address(host):
            return
        try:
            async with asyncio.timeout(self._seconds):
                await self._resolver.resolve(host, url.port or 0)
        except _NotPublicError:
            raise UrlNotPublicError(not_public(host)) from None
        except OSError:
            # A TimeoutError is an OSError as well.
            return

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> OutboundResult:
        """Send one request and return the response or the failure; raises nothing but CancelledError. `seconds` bounds the whole attempt."""
        limit = self._seconds if seconds is None else seconds
        host = "The receiver"
        try:
            checked = check_url(url, self.rules)
            host = checked.raw_host or host
            async with asyncio.timeout(limit):
                return await self._send(method, checked, body, headers or {})
        except UrlNotPublicError as error:
            return OutboundFailure("url_not_public", str(error))
        except TimeoutError:
            return OutboundFailure("timeout", f"{host} did not answer completely within {limit:g} s.")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _failure(error, host)

    async def close(self) -> None:
        """Close all connections. The client can be used again."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        self._resolver.stop()

    async def _send(self, method: str, url: URL, body: bytes | None, headers: Mapping[str, str]) -> OutboundResponse:
        async with self._open_session().request(
            method, url, data=body, headers={"Accept-Encoding": "identity", **headers}, allow_redirects=False
        ) as response:
            content = bytearray()
            while len(content) < MAX_BODY and (chunk := await response.content.read(MAX_BODY - len(content))):
                content += chunk
            if not response.content.at_eof():
                # Otherwise, releasing the connection would wait for the rest.
                response.close()
            return OutboundResponse(response.status, response.headers, bytes(content))

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=_MAX_CONNECTIONS,
                keepalive_timeout=_KEEP_ALIVE_SECONDS,
                resolver=self._resolver,
                ttl_dns_cache=_RESOLVED_SECONDS,
                ssl=self._ssl_context if self._ssl_context is not None else True,
                socket_factory=self._open_socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                auto_decompress=False,
            )
        return self._session

    def _open_socket(self, address_info: tuple[Any, ...]) -> socket.socket:
        """Return a new socket for an address. Raises OSError unless requests may reach it: no connection is opened another way."""
        family, kind, protocol, _, sockaddr = address_info
        address = parse_address(sockaddr[0])
        if address is None or not self.rules.allows(address):
            raise _NotPublicError
        return socket.socket(family, kind, protocol)


class _CheckingResolver(AbstractResolver):
    """A resolver that returns the addresses of a name only if requests may reach all of them."""

    def __init__(self, rules: OutboundRules, resolve: Resolve | None) -> None:
        self._rules = rules
        self._resolve = resolve or self._ask_system
        self._threads: ThreadPoolExecutor | None = None

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - aiohttp names it
    ) -> list[ResolveResult]:
        """Return the checked addresses of a name. Raises OSError if it has none, or one that is not allowed."""
        texts = await self._resolve(host, port)
        addresses = [parse_address(text) for text in texts]
        if any(address is None or not self._rules.allows(address) for address in addresses):
            raise _NotPublicError
        if not texts:
            raise socket.gaierror(socket.EAI_NONAME, "no addresses")
        return [
            ResolveResult(
                hostname=host,
                host=text,
                port=port,
                family=socket.AF_INET6 if ":" in text else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for text in texts
        ]

    async def close(self) -> None:
        """Do nothing: the client that made the resolver stops it."""

    def stop(self) -> None:
        """End the threads, without waiting for name servers that do not answer."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)

    async def _ask_system(self, host: str, port: int) -> list[str]:
        # Threads of its own: a name server that does not answer would otherwise block the threads that others wait for.
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_RESOLVING_THREADS, thread_name_prefix="outbound-dns")
        infos = await asyncio.get_running_loop().run_in_executor(
            self._threads,
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG),
        )
        return list(dict.fromkeys(str(info[4][0]) for info in infos))


def _failure(error: Exception, host: str) -> OutboundFailure:
    """Return the failure of an attempt that ended with this error. The error's own text is not used: it may quote the URL."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, _NotPublicError):
        return OutboundFailure("url_not_public", not_public(host))
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        certificate_error = error.certificate_error
        why = getattr(certificate_error, "verify_message", "") or "it does not match the host"
        return OutboundFailure("certificate", f"The certificate of {host} is not valid: {why}.")
    if isinstance(error, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return OutboundFailure("dns", f"{host} does not resolve to an address.")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return OutboundFailure("tls", f"The TLS handshake with {host} failed.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return OutboundFailure("connect", f"{host} could not be reached: {_reason(error.os_error)}.")
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError | OSError):
        return OutboundFailure("disconnected", f"{host} closed the connection before its response was complete.")
    return OutboundFailure("protocol", f"{host} did not answer with valid HTTP.")


def _reason(error: OSError) -> str:
    return (error.strerror or "the connection was refused").split("[")[0].strip().lower()
