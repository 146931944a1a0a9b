"""The parts that the routes of API keys use; `onramp.bootstrap` fills them in."""

from dataclasses import dataclass

from aiohttp import web

from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.ids import Ids
from onramp.auth.api_keys.authenticator import ApiKeyAuthenticator


@dataclass(frozen=True, slots=True)
class ApiKeyServices:
    """The parts that the routes of API keys use."""

    database: Database
    clock: Clock
    ids: Ids
    ring: KeyRing
    is_production: bool
    authenticator: ApiKeyAuthenticator


API_KEYS = web.AppKey("api_keys", ApiKeyServices)
