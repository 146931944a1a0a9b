"""The parts that the checkout page uses; `onramp.bootstrap` fills them in."""

from dataclasses import dataclass

from aiohttp import web

from onramp.checkout.documents import Documents
from onramp.client.files import ServedFiles
from onramp.config.settings import Settings


@dataclass(frozen=True, slots=True)
class CheckoutServices:
    """The parts that the checkout page uses."""

    settings: Settings
    served: ServedFiles | None
    """What the build of `client/` wrote; None if it is not built."""
    documents: Documents | None
    """The same."""


CHECKOUT = web.AppKey("checkout", CheckoutServices)
