"""The parts that the routes of the login through the provider use; `onramp.bootstrap` fills them in."""

from dataclasses import dataclass

from aiohttp import web

from onramp.auth.console_sessions.dependencies import ConsoleSessionServices
from onramp.auth.oidc.flow import Flow
from onramp.config.settings import Settings


@dataclass(frozen=True, slots=True)
class OidcServices:
    """The parts that the routes of the login through the provider use."""

    settings: Settings
    sessions: ConsoleSessionServices
    flow: Flow | None
    """The login; None if no provider is configured."""


OIDC = web.AppKey("oidc", OidcServices)
"""The parts that the routes of the login through the provider use."""
