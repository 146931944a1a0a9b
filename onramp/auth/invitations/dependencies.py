"""The parts that the routes of invitations use; `onramp.bootstrap` fills them in."""

from dataclasses import dataclass

from aiohttp import web

from kit.clock import Clock
from kit.db.database import Database
from kit.ids import Ids
from onramp.config.settings import Settings


@dataclass(frozen=True, slots=True)
class InvitationServices:
    """The parts that the routes of invitations use."""

    settings: Settings
    database: Database
    clock: Clock
    ids: Ids


INVITATIONS = web.AppKey("invitations", InvitationServices)
