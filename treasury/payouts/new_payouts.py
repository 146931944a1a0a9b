"""Wake the wallet's leader for payouts that another process wrote."""

import asyncio
from collections.abc import Callable
from typing import Final

import sqlalchemy as sa

from kit.db.database import DATABASE_ERRORS, Database
from treasury.core.status import Status
from treasury.payouts.table import payouts

INTERVAL_SECONDS: Final = 0.5
UNAVAILABLE_SECONDS: Final = 5.0
"""Seconds between two polls while the database is unavailable."""
_NEWEST: Final = (
    sa.select(payouts.c.id)
    .where(
        payouts.c.wallet == sa.bindparam("of_wallet"),
        payouts.c.transaction_id.is_(None),
        payouts.c.status.in_([Status.PLANNED, Status.APPROVED]),
    )
    .order_by(payouts.c.created_at.desc(), payouts.c.id.desc())
    .limit(1)
)


class Arrivals:
    """Polls twice a second for a new payout in the queue, by one short query of waiting rows."""

    def __init__(self, database: Database, wallet: str, wake: Callable[[], None]) -> None:
        """Prepare to poll for payouts of `wallet`; nothing is read before `start`.

        `wake` is called when the newest payout that waits to be signed is another one than at the last poll.
        """
        self._database = database
        self._wallet = wallet
        self._wake = wake
        self._newest: str | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start polling in a task of its own."""
        self._task = asyncio.create_task(self._loop(), name="arrivals")

    async def stop(self) -> None:
        """Stop polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def poll(self) -> None:
        """Poll once: call `wake` if the newest payout that waits to be signed is another one than at the last poll. Raises DATABASE_ERRORS."""
        async with self._database.read() as conn:
            newest: str | None = (await conn.execute(_NEWEST, {"of_wallet": self._wallet})).scalar()
        if newest is not None and newest != self._newest:
            self._wake()
        self._newest = newest

    async def _loop(self) -> None:
        while True:
            try:
                await self.poll()
            except DATABASE_ERRORS:
                await asyncio.sleep(UNAVAILABLE_SECONDS)
            await asyncio.sleep(INTERVAL_SECONDS)
