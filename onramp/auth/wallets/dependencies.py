"""The parts that the routes of wallet logins use; `onramp.bootstrap` fills them in."""

from dataclasses import dataclass

from aiohttp import web

from chain.pool.pool import Pool
from kit.clock import Clock
from kit.db.database import Database
from onramp.auth.wallets.tokens import Tokens
from onramp.config.settings import Settings


@dataclass(frozen=True, slots=True)
class LoginServices:
    """The parts that the routes use which log wallets in."""

    settings: Settings
    database: Database
    pool: Pool
    clock: Clock
    tokens: Tokens


LOGIN = web.AppKey("login", LoginServices)
