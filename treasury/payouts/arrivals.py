"""Notice payouts that another process wrote, so that the wallet's leader does not sleep through them."""

import asyncio
from collections.abc import Callable
from typing import Final

import sqlalchemy as sa

from kit.db.database import DATABASE_ERRORS, Database
from treasury.core.status import Status
from treasury.payouts.table import payouts

EVERY_SECONDS: Final = 0.5
AWAY_SECONDS: Final = 5.0
"""Between two looks while the database is away."""
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
    """Looks twice a second for a payout that was not in the queue before; one short query of rows that wait."""

    def __init__(self, database: Database, wallet: str, wake: Callable[[], None]) -> None:
        """`wake` is called once for each newest payout, however long that waits."""
        self._database = database
        self._wallet = wallet
        self._wake = wake
        self._newest: str | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, in a task of its own."""
        self._task = asyncio.create_task(self._loop(), name="arrivals")

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> None:
        """Wake the sender where another payout is the newest than at the last look. Raises what the database raises."""
        async with self._database.read() as conn:
            newest: str | None = (await conn.execute(_NEWEST, {"of_wallet": self._wallet})).scalar()
        if newest is not None and newest != self._newest:
            self._wake()
        self._newest = newest

    async def _loop(self) -> None:
        while True:
            try:
                await self.look()
            except DATABASE_ERRORS:
                await asyncio.sleep(AWAY_SECONDS)
            await asyncio.sleep(EVERY_SECONDS)
