"""Serve the client's modules and its package, to pages of any origin."""

from typing import Final

from aiohttp import web

from kit.http.problems import not_found
from kit.http.routing import Route
from onramp.client.files import IMMUTABLE, REVALIDATED, ServedFiles, not_built, respond

CLIENT_FILES: web.AppKey[ServedFiles | None] = web.AppKey("client_files")
"""The files that the build wrote; None if the client is not built."""
_FOLDER: Final = "client/"


async def file(request: web.Request) -> web.StreamResponse:
    """Answer with one of the client's files. A path below the hash of all modules is cached for ever; any other is asked for again."""
    served = request.app[CLIENT_FILES]
    if served is None:
        raise not_built()
    name = request.match_info["file"]
    within = name.removeprefix(f"{served.tree}/")
    found = served.files.get(_FOLDER + within)
    if found is None:
        raise not_found("file")
    response = respond(request, found, cache=REVALIDATED if within == name else IMMUTABLE)
    # Modules are always loaded by CORS, and these are the same for everyone.
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


ROUTES = (
    Route(
        "GET",
        "/client/{file:.+}",
        file,
        access="anyone",
        summary="A file of the client: `index.js` and the other ES modules with their types, and `onramp-client.tgz`, the same as a package.",
        name="client_file",
        media=("*/*",),
        headers={"If-None-Match": "The `ETag` of an earlier response."},
        responses={304: "Unchanged since the response with that `ETag`."},
        codes={503: ("client_not_built",)},
        allow_head=True,
    ),
)
