"""The parts that the routes of console sessions use; `onramp.bootstrap` fills them in."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.entry_limiter import EntryLimiter
from kit.ids import Ids
from onramp.auth.api_keys.authenticator import ApiKeyAuthenticator
from onramp.auth.console_sessions.service import OidcPersons
from onramp.config.settings import Settings

CountPasskeys = Callable[[AsyncConnection, str], Awaitable[int]]
"""A function that returns how many passkeys a person has enrolled."""


async def no_passkeys(_conn: AsyncConnection, _person: str) -> int:
    """Return 0, where passkeys are not built in."""
    return 0


@dataclass(frozen=True, slots=True)
class ConsoleSessionServices:
    """The parts that the routes of console sessions use."""

    database: Database
    clock: Clock
    ids: Ids
    ring: KeyRing
    keys: ApiKeyAuthenticator
    persons: OidcPersons
    settings: Settings
    refusals: EntryLimiter
    """Limits the audit rows of refused logins."""
    count_passkeys: CountPasskeys = no_passkeys


CONSOLE_SESSIONS = web.AppKey("console_sessions", ConsoleSessionServices)
"""The parts that the routes of console sessions use."""
