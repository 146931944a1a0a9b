"""Serve the operator console: one document, which is never stored, and the files that it loads, which are kept for ever."""

import re
from typing import Final

from aiohttp import web

from kit.http.problems import not_found
from kit.http.routing import Route, handler_of
from onramp.client.files import IMMUTABLE, not_built, respond
from onramp.console.dependencies import CONSOLE
from onramp.console.transport import require_safe

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html"
)
"""The content security policy: nothing from elsewhere, no inline script, and strings become markup in lit-html only."""
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()",
}
_SCREEN: Final = re.compile(r"[a-z]{1,20}")


async def page(request: web.Request) -> web.StreamResponse:
    """Answer with the document. Its script shows the screen that the address names."""
    services = request.app[CONSOLE]
    require_safe(request, services.settings)
    if services.files is None:
        raise not_built()
    response = respond(request, services.files.document, cache="no-store")
    # A document that is not stored has no earlier version to compare with.
    del response.headers["ETag"]
    response.headers.update(_HEADERS)
    return response


async def file(request: web.Request) -> web.StreamResponse:
    """Answer with a file under the hash of all files, or with the document for the address of a screen."""
    services = request.app[CONSOLE]
    path = request.match_info["file"]
    if _SCREEN.fullmatch(path):
        return await page(request)
    require_safe(request, services.settings)
    if services.files is None:
        raise not_built()
    tree, _, name = path.partition("/")
    found = services.files.files.get(name) if tree == services.files.tree else None
    if found is None:
        raise not_found("file")
    response = respond(request, found, cache=IMMUTABLE)
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


_CODES: Final = {403: ("console_embedded", "console_insecure"), 404: ("not_found",), 503: ("client_not_built",)}

ROUTES = (
    Route(
        "GET",
        "/console",
        page,
        access="anyone",
        summary="The operator console; it needs `CONSOLE=on`. What it shows, it reads by this API.",
        name="console",
        allow_head=True,
        media=("text/html",),
        responses={
            403: "Asked for over plain http from elsewhere, or inside another page.",
            404: "The console has a port of its own.",
        },
        codes=_CODES,
    ),
    Route(
        "GET",
        "/console/{file:.+}",
        file,
        access="anyone",
        summary="A screen of the console, or a file that it loads.",
        name="console_file",
        allow_head=True,
        media=("*/*",),
        headers={"If-None-Match": "The `ETag` of an earlier response."},
        responses={
            304: "Unchanged since the response with that `ETag`.",
            403: "As for the console's document.",
            404: "There is no such file in this version.",
        },
        codes=_CODES,
    ),
)


def add_alias(app: web.Application) -> None:
    """Serve the console at `/console/` as well; the route table names its address without the slash."""
    app.router.add_get("/console/", handler_of(ROUTES[0]), allow_head=True)
