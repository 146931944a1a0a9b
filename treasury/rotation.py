"""Another hot wallet takes over: what the one before has not finished would be followed, and paid, by nobody."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import Address
from treasury.payouts.table import payouts
from treasury.status import Status
from treasury.sweeps.table import sweeps

_ENDED: Final = (Status.FINAL, Status.CANCELLED, Status.REJECTED, Status.REVERTED)


async def left_behind(conn: AsyncConnection, wallet: Address) -> list[tuple[str, str, Status]]:
    """(id, its wallet, status) of each payout and sweep of another wallet that has not ended, the oldest first.

    Those that were rejected or reverted have: a person makes them good, with `settle`.
    """
    found = []
    for table in (payouts, sweeps):
        query = sa.select(table.c.id, table.c.wallet, table.c.status).where(
            table.c.wallet != wallet, table.c.status.not_in(_ENDED)
        )
        found += [
            (row.id, row.wallet, Status(row.status)) for row in await conn.execute(query.order_by(table.c.created_at))
        ]
    return found
