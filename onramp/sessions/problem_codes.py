"""The codes with which Stripe refuses a purchase, for the description of the routes that pass them on."""

from typing import Final

from onramp.stripe.errors import REFUSALS

STRIPE_REFUSALS: Final[tuple[str, ...]] = tuple(REFUSALS)
OTHER_STRIPE_REFUSALS: Final = "^crypto_onramp_"
"""A pattern of further codes, which Stripe may add."""
