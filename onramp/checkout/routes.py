"""Serve the checkout page, a purchase's own page, and their files."""

from typing import Final

from aiohttp import web

from kit.http.problems import not_found
from kit.http.routing import Route, handler_of
from onramp.checkout.dependencies import CHECKOUT
from onramp.client.files import IMMUTABLE, not_built, respond
from onramp.config.settings import Settings
from onramp.dapp.browser_scripts import sandbox_origin

_FOLDER: Final = "checkout/"
_CACHE: Final = "private, no-cache"
"""The document is kept, so that the back button finds the page as it was, and asked for again."""
_STRIPE_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' https://js.stripe.com https://*.js.stripe.com https://crypto-js.stripe.com; "
    "frame-src https://js.stripe.com https://*.js.stripe.com https://crypto-js.stripe.com https://hooks.stripe.com https://link.com https://*.link.com; "
    "connect-src 'self' https://api.stripe.com https://crypto-js.stripe.com https://js.stripe.com https://r.stripe.com; "
    "img-src 'self' data: https://*.link.com"
)


def policy(settings: Settings, style: str) -> str:
    """Return the page's policy: only pages of ALLOWED_ORIGINS may embed it. `style`: the hash of the style in the document."""
    ancestors = " ".join(settings.origins) or "'none'"
    embedding = f"frame-ancestors {ancestors}; "
    sandbox = sandbox_origin(settings.STRIPE_API_BASE)
    if sandbox is None:
        # Stripe's scripts write styles of their own; a hash beside 'unsafe-inline' would switch that off.
        return embedding + _STRIPE_POLICY
    return (
        f"{embedding}default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'self' '{style}'; "
        f"script-src 'self' {sandbox}; frame-src {sandbox}; connect-src 'self' {sandbox}; img-src 'self' data:"
    )


async def page(request: web.Request) -> web.StreamResponse:
    """Answer with the page in the buyer's language. Its script finds the purchase of `/checkout/s/ID` by the address."""
    services = request.app[CHECKOUT]
    served, documents = services.served, services.documents
    if served is None or documents is None:
        raise not_built()
    accepted = request.headers.get("Accept-Language", "")
    language = documents.language(request.query.get("locale", ""), accepted)
    document = documents.document(language, request.query.get("theme", ""))
    response = respond(request, document, cache=_CACHE)
    response.headers["Vary"] = "Accept-Encoding, Accept-Language"
    response.headers["Content-Security-Policy"] = policy(services.settings, served.style)
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin-allow-popups"
    return response


async def file(request: web.Request) -> web.StreamResponse:
    """Answer with one of the page's files. Their names contain a hash, so they are cached for ever.

    Links are cut off or get punctuation appended, so every path below `/checkout/s` returns the page. Its script shows the purchase or says that the link is
    unknown.
    """
    if request.match_info["file"].partition("/")[0] == "s":
        return await page(request)
    services = request.app[CHECKOUT]
    if services.served is None:
        raise not_built()
    found = services.served.files.get(_FOLDER + request.match_info["file"])
    if found is None or (found.is_development and services.settings.is_production):
        raise not_found("file")
    return respond(request, found, cache=IMMUTABLE)


ROUTES = (
    Route(
        "GET",
        "/checkout",
        page,
        access="anyone",
        summary="The checkout page; its parameters are in the guide for dApps.",
        name="checkout",
        allow_head=True,
        media=("text/html",),
        codes={503: ("client_not_built",)},
    ),
    Route(
        "GET",
        "/checkout/s/{id}",
        page,
        access="anyone",
        summary="The page of one purchase, to keep, to go on with, and to open on another device.",
        name="checkout_session",
        allow_head=True,
        media=("text/html",),
        codes={503: ("client_not_built",)},
    ),
    Route(
        "GET",
        "/checkout/{file:.+}",
        file,
        access="anyone",
        summary="A file of the checkout page.",
        name="checkout_file",
        allow_head=True,
        media=("*/*",),
        headers={"If-None-Match": "The `ETag` of an earlier response."},
        responses={304: "Unchanged since the response with that `ETag`."},
        codes={503: ("client_not_built",)},
    ),
)


def add_alias(app: web.Application) -> None:
    """Serve the checkout page at `/checkout/` as well; the route table names its address without the slash."""
    app.router.add_get("/checkout/", handler_of(ROUTES[0]), allow_head=True)
