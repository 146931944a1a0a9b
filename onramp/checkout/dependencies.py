"""The parts that the checkout page uses; `onramp.bootstrap` fills them in."""

from dataclasses import dataclass

from aiohttp import web

from onramp.config.settings import Settings


@dataclass(frozen=True, slots=True)
class CheckoutServices:
    """The parts that the checkout page uses."""

    settings: Settings
    token: str
    """The address of the MUSD token."""


CHECKOUT = web.AppKey("checkout", CheckoutServices)
