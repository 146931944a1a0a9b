"""The scripts that a page loads to show Stripe's form."""

from typing import Final
from urllib.parse import urlsplit

STRIPE_SCRIPTS: Final = (
    "https://js.stripe.com/clover/stripe.js",
    "https://crypto-js.stripe.com/crypto-onramp-outer.js",
)
"""The only URLs from which Stripe allows its scripts to be loaded (docs.stripe.com/crypto/onramp/embedded)."""


def sandbox_origin(api_base: str) -> str | None:
    """Return the origin of the Stripe sandbox at STRIPE_API_BASE; None for Stripe itself."""
    parts = urlsplit(api_base)
    return None if parts.hostname == "api.stripe.com" else f"{parts.scheme}://{parts.netloc}"


def browser_scripts(api_base: str) -> tuple[str, ...]:
    """Return the URLs of the scripts, in the order in which a page loads them."""
    sandbox = sandbox_origin(api_base)
    return STRIPE_SCRIPTS if sandbox is None else (f"{sandbox}/sandbox/stripe-onramp.js",)
