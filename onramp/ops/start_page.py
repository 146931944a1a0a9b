"""The page at `/`: a description of this service with links to its parts, as HTML for a browser and as JSON for a program."""

import html
from typing import Final

from aiohttp import web

from kit.http.accept import preferred
from kit.http.documents import Document, reply
from kit.http.routing import Route
from onramp import __version__
from onramp.ops.dependencies import OPS
from onramp.ops.openapi import DESCRIPTION, TITLE

_POLICY: Final = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_CHECKOUT: Final = {"/checkout": "Buy MUSD: the hosted checkout page."}
_PAGES: Final = {
    "/docs": "The API reference.",
    "/openapi.json": "The API reference as an OpenAPI 3.1 document.",
    "/llms.txt": "What this service is and its routes, as a text for language models.",
    "/health": "Whether the process is alive.",
    "/ready": "Whether the service can sell and deliver, with a line for each part.",
}


class StartPage(Document):
    """A description of this service, and the paths that anyone may read, each with a description."""

    name: str
    version: str
    description: str
    paths: dict[str, str]


async def start_page(request: web.Request) -> web.StreamResponse:
    """Answer with HTML if the client prefers it, as browsers do; otherwise with JSON."""
    served = (_CHECKOUT if request.app[OPS].settings.checkout_is_served else {}) | _PAGES
    if preferred(request.headers.get("Accept", ""), ("application/json", "text/html")) == "text/html":
        headers = {"Content-Security-Policy": _POLICY, "Vary": "Accept"}
        return web.Response(text=_page(served), content_type="text/html", charset="utf-8", headers=headers)
    document = StartPage(name=TITLE, version=__version__, description=DESCRIPTION, paths=served)
    return reply(document, headers={"Vary": "Accept"})


def _page(served: dict[str, str]) -> str:
    items = "".join(
        f'<li><a href="{path}"><code>{path}</code></a> {html.escape(text)}</li>' for path, text in served.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{TITLE}</title><link rel="stylesheet" href="/docs/docs.css"></head><body><main><h1>{TITLE}</h1>'
        f"<p>{html.escape(DESCRIPTION)}</p><ul>{items}</ul><p>Version {__version__}.</p></main></body></html>"
    )


ROUTES = (
    Route(
        "GET",
        "/",
        start_page,
        access="anyone",
        summary="What this service is, and where its parts are.",
        name="start_page",
        response=StartPage,
        media=("application/json", "text/html"),
        headers={"Accept": "`text/html` for the page that browsers show."},
        allow_head=True,
    ),
)
