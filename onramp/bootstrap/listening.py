"""Listen on every name and address of HOST, on one port."""

import errno
import socket
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from onramp.bootstrap.errors import StartError

_EVERYWHERE: Final = "::"


async def listen(runner: web.AppRunner, hosts: Sequence[str], port: int, *, backlog: int) -> int:
    """Start a site for each of `hosts` and return the port; if `port` is 0, the system chooses it for the first of them.

    `::` listens on IPv6 and IPv4, unless an IPv4 address is also listed. Raises StartError; nothing listens any more
    after the caller has cleaned up the runner.
    """
    for host in hosts:
        try:
            beside_ipv4 = "0.0.0.0" in hosts  # noqa: S104 - configured by the operator
            await _site(runner, host, port, backlog, beside_ipv4=beside_ipv4).start()
        except OSError as error:
            address = f"[{host}]" if ":" in host else host
            raise StartError(f"Cannot listen on {address}:{port}: {_reason(error)}") from error
        port = port or int(runner.addresses[0][1])
    return port


def _site(runner: web.AppRunner, host: str, port: int, backlog: int, *, beside_ipv4: bool) -> web.BaseSite:
    if host != _EVERYWHERE or not socket.has_dualstack_ipv6():
        return web.TCPSite(runner, host, port, backlog=backlog)
    listening = socket.create_server(
        (host, port), family=socket.AF_INET6, backlog=backlog, dualstack_ipv6=not beside_ipv4
    )
    listening.setblocking(False)
    return web.SockSite(runner, listening, backlog=backlog)


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another process listens there. Choose another PORT, or stop that process."
    text = error.strerror or str(error)
    if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT} or isinstance(error, socket.gaierror):
        return (
            f"{text}. HOST takes addresses of this machine: :: listens on all of them, 0.0.0.0 on all IPv4 addresses."
        )
    return f"{text}. Choose another HOST or PORT."
