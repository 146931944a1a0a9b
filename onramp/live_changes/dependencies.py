"""The parts that the stream of changes uses; `onramp.bootstrap` fills them in."""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from onramp.live_changes.feed import LiveChanges


@dataclass(frozen=True, slots=True)
class LiveChangeServices:
    """The parts that the stream of changes uses."""

    feed: LiveChanges
    stopping: asyncio.Event
    """An event that is set when the process stops; streams end then."""


LIVE_CHANGES = web.AppKey("live_changes", LiveChangeServices)
