"""The parts that passkeys use; `onramp.bootstrap` fills them in."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.ids import Ids
from kit.signed_plans.plan import PlanFacts
from onramp.auth.passkeys.party import Address
from onramp.auth.roles import Principal

Planner = Callable[[AsyncConnection, str, Mapping[str, Any]], Awaitable[PlanFacts]]
"""A function that returns what a command would do now, from its subject and the other fields of its body. Raises Problem 404 for no such subject."""


@dataclass(frozen=True, slots=True)
class PasskeyServices:
    """The parts that passkeys use."""

    address: Address
    database: Database
    clock: Clock
    ids: Ids
    ring: KeyRing
    check_code: Callable[[Principal, str], Awaitable[None]]
    """Checks a second-factor code of the caller's key. Raises Problem 401."""
    planners: Mapping[str, Planner]
    """Action -> its planner; the actions are those of the route table."""


PASSKEYS = web.AppKey("passkeys", PasskeyServices)
