"""The parts that the routes of outgoing webhooks use; `onramp.bootstrap` fills them in."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.http.outbound import OutboundClient
from kit.ids import Ids


@dataclass(frozen=True, slots=True)
class HookServices:
    """The parts that the routes of outgoing webhooks use."""

    database: Database
    clock: Clock
    ids: Ids
    ring: KeyRing
    client: OutboundClient
    planned: Callable[[], None]
    """Wakes the worker of this process that sends, if there is one."""


HOOKS = web.AppKey("hooks", HookServices)
