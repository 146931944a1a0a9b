"""The public configuration over HTTP."""

from typing import Final

from aiohttp import web

from kit.http.conditional import conditional
from kit.http.routing import Route
from onramp.dapp.public_config import PublicConfig
from onramp.dapp.schemas import ConfigResponse

DAPP = web.AppKey("dapp", PublicConfig)
CACHE: Final = "public, max-age=10, stale-while-revalidate=50"
"""The Cache-Control of the configuration: a page shows a pause of sales up to a minute late, which costs nothing, because create refuses at once."""


async def config(request: web.Request) -> web.StreamResponse:
    """Answer with the configuration, or 304 if the client has it already."""
    rendered = await request.app[DAPP].current()
    return conditional(request, rendered.content, rendered.etag, cache=CACHE)


ROUTES = (
    Route(
        "GET",
        "/api/v1/onramp/config",
        config,
        access="anyone",
        summary="What a dApp needs to know before it sells: chain, token, currencies, limits, Stripe's key. Public, and cached for seconds.",
        name="config",
        response=ConfigResponse,
        headers={"If-None-Match": "The `ETag` of an earlier response."},
        responses={304: "Unchanged since the response with that `ETag`."},
        allow_head=True,
    ),
)
