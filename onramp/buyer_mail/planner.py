"""The consumer of the outbox that plans mails: it writes a row for each state that a purchase reaches."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.clock import Clock
from kit.outbox.service import Change
from onramp.buyer_mail import service as buyer_mail_service

NAME: Final = "buyer_mail"


class BuyerMailPlanner:
    """Plans the mails of purchases whose buyers gave an address."""

    name = NAME
    topics: Collection[str] = frozenset({"session"})

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def plan(self, conn: AsyncConnection, changes: Sequence[Change]) -> None:
        """Store the mails that these changes of sessions need, each once."""
        reached = [(change.subject, buyer_mail_service.state_reached(change)) for change in changes]
        planned = [(session_id, state) for session_id, state in reached if state is not None]
        if planned:
            await buyer_mail_service.plan(conn, planned, self._clock.now())
