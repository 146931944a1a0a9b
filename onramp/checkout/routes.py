"""Serve the checkout page and its files."""

import mimetypes
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web

from chain.deployments import deployment
from kit.http.problems import not_found
from kit.http.routing import Route
from onramp.checkout.dependencies import CHECKOUT
from onramp.config.settings import Settings
from onramp.dapp.browser_scripts import browser_scripts, sandbox_origin

STATIC: Final = Path(__file__).parent / "static"
DEVELOPMENT_WALLET: Final = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
"""The address of the eighth of the well-known development accounts, whose key is public."""
DEVELOPMENT_SCRIPT: Final = "development.js"
"""The script that signs with publicly known keys, so that developers can log in without a wallet; not served in production."""
_STRIPE_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' https://js.stripe.com https://*.js.stripe.com https://crypto-js.stripe.com; "
    "frame-src https://js.stripe.com https://*.js.stripe.com https://crypto-js.stripe.com https://hooks.stripe.com https://link.com https://*.link.com; "
    "connect-src 'self' https://api.stripe.com https://crypto-js.stripe.com https://js.stripe.com https://r.stripe.com; "
    "img-src 'self' data: https://*.link.com"
)


def _policy(settings: Settings) -> str:
    """Return the page's content security policy: only pages of ALLOWED_ORIGINS may embed it."""
    ancestors = " ".join(settings.origins) or "'none'"
    embedding = f"frame-ancestors {ancestors}; "
    sandbox = sandbox_origin(settings.STRIPE_API_BASE)
    if sandbox is None:
        return embedding + _STRIPE_POLICY
    return (
        f"{embedding}default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'self'; "
        f"script-src 'self' {sandbox}; frame-src {sandbox}; connect-src 'self' {sandbox}; img-src 'self' data:"
    )


def _config(settings: Settings, musd: str) -> dict[str, Any]:
    chain = deployment(settings.CHAIN_ID)
    return {
        "apiBase": "",
        "publishableKey": settings.STRIPE_PUBLISHABLE_KEY,
        "stripeScripts": list(browser_scripts(settings.STRIPE_API_BASE)),
        "chainId": settings.CHAIN_ID,
        "chainName": chain.name,
        "explorerUrl": chain.explorer,
        "musdAddress": musd,
        "minAmount": settings.SESSION_MIN_AMOUNT,
        "maxAmount": settings.SESSION_MAX_AMOUNT,
        "merchantName": settings.MERCHANT_NAME or None,
        "supportEmail": settings.SUPPORT_EMAIL or None,
        "developmentWallet": None if settings.is_production else DEVELOPMENT_WALLET,
        "environment": settings.ENVIRONMENT,
    }


async def page(request: web.Request) -> web.StreamResponse:
    """Answer with the checkout page as HTML, with its configuration as JSON inside, and a policy that lets only ALLOWED_ORIGINS embed it."""
    services = request.app[CHECKOUT]
    # `<` is escaped so that no value can close the script element.
    config = orjson.dumps(_config(services.settings, services.token)).decode().replace("<", "\\u003c")
    text = (STATIC / "index.html").read_text(encoding="utf-8").replace("__CHECKOUT_CONFIG__", config)
    headers = {
        "Content-Security-Policy": _policy(services.settings),
        "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    }
    return web.Response(text=text, content_type="text/html", headers=headers)


async def file(request: web.Request) -> web.StreamResponse:
    """Answer with one of the page's files. Only existing names are served, so no path can lead outside the folder."""
    name = request.match_info["file"]
    files = {path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*") if path.is_file()}
    path = files.get(name)
    is_kept_back = name == DEVELOPMENT_SCRIPT and request.app[CHECKOUT].settings.is_production
    if path is None or name == "index.html" or is_kept_back:
        raise not_found("file")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return web.Response(body=path.read_bytes(), content_type=kind, headers={"Cache-Control": "no-cache"})


ROUTES = (
    Route(
        "GET", "/checkout", page, access="anyone", summary="The checkout page.", name="checkout", media=("text/html",)
    ),
    Route(
        "GET",
        "/checkout/{file:.+}",
        file,
        access="anyone",
        summary="A file of the checkout page.",
        name="checkout_file",
        media=("*/*",),
    ),
)
