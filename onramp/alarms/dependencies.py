"""The parts that the routes of alarms use; `onramp.bootstrap` fills them in."""

from dataclasses import dataclass

from aiohttp import web

from kit.clock import Clock
from kit.db.database import Database


@dataclass(frozen=True, slots=True)
class AlarmServices:
    """The parts that the routes of alarms use."""

    database: Database
    clock: Clock


ALARM_SERVICES = web.AppKey("alarms", AlarmServices)
