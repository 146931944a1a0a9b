"""The parts that the routes of sessions use; `onramp.bootstrap` fills them in."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from chain.reads.transfer_proof import ProofResult
from kit.batching import DataLoader
from kit.db.database import Database
from onramp.config.settings import Settings
from onramp.sessions.change_feed import ChangeFeed
from onramp.sessions.config import SessionConfig
from onramp.sessions.create import Creator
from onramp.sessions.model import Session


class DeliveryCheck(Protocol):
    """Checks single deliveries on the chain; `onramp.deliveries` implements it."""

    async def check_now(self, session_id: str, *, owner: str) -> tuple[Session | None, ProofResult | None]:
        """Check one delivery of `owner` now; (None, None) if that wallet has no such session. Raises ChainError."""


@dataclass(frozen=True, slots=True)
class SessionServices:
    """The parts that the routes of sessions use."""

    settings: Settings
    config: SessionConfig
    database: Database
    creator: Creator
    reads: DataLoader[str, Session]
    live: ChangeFeed
    deliveries: DeliveryCheck
    explorer: str | None
    """The base URL of the chain's block explorer; None if there is none."""
    workers_stopped: Callable[[], bool]
    """A function that returns whether a worker has been stopped for so long that nothing may be sold."""
    stopping: asyncio.Event
    """An event that is set when the process stops; event streams end then."""


SESSIONS = web.AppKey("sessions", SessionServices)
