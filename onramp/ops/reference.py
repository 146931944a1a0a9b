"""The API described: as an OpenAPI document, as the page at /docs, and as a short text for language models at /llms.txt."""

from functools import lru_cache
from typing import Final

import orjson
from aiohttp import web

from kit.http import reference_page
from kit.http.problems import not_found
from kit.http.reference_page import AccessTable
from kit.http.routing import ROUTE_TABLE, Route
from onramp.auth.roles import CALLERS, may_call
from onramp.client.files import REVALIDATED, not_built, respond
from onramp.client.routes import CLIENT_FILES
from onramp.ops import openapi

_FOLDER: Final = "docs/"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_LLMS: Final = """\
# {title}

> {description} A dApp creates a session, the buyer pays by card through Stripe's Crypto Onramp, and MUSD on Mezo reaches the buyer's wallet exactly once.

Bodies are JSON in camelCase. Amounts are decimal strings. Times are RFC 3339 in UTC. Errors are
`application/problem+json` (RFC 9457) with a stable `code`. Lists take `limit` and `cursor`,
and answer `data` and `nextCursor`.
Create a session with a random `Idempotency-Key`, and repeat the same request with the same key after any failure; then follow its events until `status` is `completed`.

## Reference

- [OpenAPI 3.1 document](/openapi.json): every route, field, code and example, with samples in curl, TypeScript and Python
- [API reference](/docs): the same for people, to try out
- [TypeScript client](/client/index.js): ES modules with types; [as a package](/client/onramp-client.tgz)
- [Public configuration](/api/v1/onramp/config): chain, token, currencies and limits of this service

## Guides, in the service's repository

- docs/dapp.md: sell MUSD in a dApp
- docs/api.md: how requests, errors, pages and keys work
- docs/deploying.md, docs/configuration.md, docs/runbook.md, docs/monitoring.md: run the service
- docs/architecture.md, docs/glossary.md: how it works, and its terms

## Routes

Each line: method, path, who may call it, what it does.

{routes}
"""


@lru_cache(maxsize=1)
def _documents(table: tuple[Route, ...]) -> tuple[bytes, bytes, bytes]:
    """Return the OpenAPI document, the page, and the text for language models. They are built once, which blocks the event loop."""
    page = reference_page.page(openapi.TITLE, AccessTable(table, CALLERS, may_call))
    return orjson.dumps(openapi.specification(table)), page.encode(), llms_text(table).encode()


def llms_text(table: tuple[Route, ...]) -> str:
    """Return the service in a page of Markdown, as https://llmstxt.org describes it."""
    lines = [f"- `{route.method} {route.path}` ({route.access}): {route.summary}" for route in table]
    return _LLMS.format(title=openapi.TITLE, description=openapi.DESCRIPTION, routes="\n".join(lines))


def build_documents(table: tuple[Route, ...]) -> None:
    """Build the documents at the start, so that no request waits for them."""
    _documents(table)


async def specification(request: web.Request) -> web.StreamResponse:
    """Answer with the OpenAPI 3.1 document."""
    return web.Response(body=_documents(request.app[ROUTE_TABLE])[0], content_type="application/json")


async def docs(request: web.Request) -> web.StreamResponse:
    """Answer with the API reference as a page, or 503 if its scripts are not built."""
    if request.app[CLIENT_FILES] is None:
        raise not_built()
    page = _documents(request.app[ROUTE_TABLE])[1]
    headers = {"Content-Security-Policy": _POLICY}
    return web.Response(body=page, content_type="text/html", charset="utf-8", headers=headers)


async def llms(request: web.Request) -> web.StreamResponse:
    """Answer with the text for language models."""
    text = _documents(request.app[ROUTE_TABLE])[2]
    return web.Response(body=text, content_type="text/plain", charset="utf-8")


async def style(request: web.Request) -> web.StreamResponse:
    """Answer with the style sheet of the small pages."""
    del request
    return web.Response(text=reference_page.STYLE, content_type="text/css")


async def file(request: web.Request) -> web.StreamResponse:
    """Answer with a script or a style sheet of the API reference."""
    served = request.app[CLIENT_FILES]
    if served is None:
        raise not_built()
    found = served.files.get(_FOLDER + request.match_info["file"])
    if found is None:
        raise not_found("file")
    return respond(request, found, cache=REVALIDATED)


ROUTES = (
    Route(
        "GET",
        "/openapi.json",
        specification,
        access="anyone",
        summary="This document, as OpenAPI 3.1.",
        name="openapi",
        allow_head=True,
    ),
    Route(
        "GET",
        "/docs",
        docs,
        access="anyone",
        summary="This document as a page, to read and to try out.",
        name="docs",
        allow_head=True,
        media=("text/html",),
        codes={503: ("client_not_built",)},
    ),
    Route(
        "GET",
        "/docs/docs.css",
        style,
        access="anyone",
        summary="The style sheet of the pages.",
        name="docs_style",
        allow_head=True,
        media=("text/css",),
    ),
    Route(
        "GET",
        "/docs/{file:.+}",
        file,
        access="anyone",
        summary="A script or a style sheet of the API reference.",
        name="docs_file",
        allow_head=True,
        media=("*/*",),
        headers={"If-None-Match": "The `ETag` of an earlier response."},
        responses={304: "Unchanged since the response with that `ETag`."},
        codes={503: ("client_not_built",)},
    ),
    Route(
        "GET",
        "/llms.txt",
        llms,
        access="anyone",
        summary="What this service is and its routes, as a text for language models.",
        name="llms",
        allow_head=True,
        media=("text/plain",),
    ),
)
