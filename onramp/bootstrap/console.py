"""The login to the console: its sessions, and the configured provider."""

from aiohttp import web

from kit.entry_limiter import EntryLimiter
from onramp.auth.console_sessions.authenticator import ConsoleAuthenticator
from onramp.auth.console_sessions.dependencies import CONSOLE_SESSIONS, ConsoleSessionServices
from onramp.auth.oidc.config import oidc_config, oidc_persons
from onramp.auth.oidc.dependencies import OIDC, OidcServices
from onramp.auth.oidc.flow import Flow
from onramp.auth.oidc.provider import Provider
from onramp.auth.passkeys import service as passkeys_service
from onramp.bootstrap.container import Container


def make_console_authenticator(container: Container) -> ConsoleAuthenticator:
    """Create the part that resolves the cookies of console sessions to callers."""
    settings = container.settings
    return ConsoleAuthenticator(container.database, container.clock, settings, oidc_persons(settings))


def fill_console_login(app: web.Application, container: Container) -> None:
    """Give the routes of console sessions, and of the login through the provider, their parts."""
    settings = container.settings
    sessions = ConsoleSessionServices(
        database=container.database,
        clock=container.clock,
        ids=container.ids,
        ring=settings.ring,
        keys=container.api_keys,
        persons=oidc_persons(settings),
        settings=settings,
        refusals=EntryLimiter(container.clock),
        count_passkeys=passkeys_service.count,
    )
    app[CONSOLE_SESSIONS] = sessions
    config, flow = oidc_config(settings), None
    if config is not None:
        provider = Provider(config, container.http, container.clock)
        flow = Flow(provider, container.database, container.clock)
    app[OIDC] = OidcServices(settings, sessions, flow)
