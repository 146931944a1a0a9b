"""The one way a treasury row changes its status: ask the machine, compare and set, write history and ledger."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.store import compare_and_set
from treasury import history
from treasury.ledger.machine import account_of
from treasury.ledger.service import follow
from treasury.status import Moved, Moves, Refused, Same, Status, decide

_TRIES = 5


class MoveRefused(Exception):
    """The row's state does not allow the fact; the transaction it was told in must not commit."""


async def apply(
    conn: AsyncConnection,
    table: sa.Table,
    moves: Moves,
    row_id: str,
    fact: str,
    *,
    now: datetime,
    by: str,
    note: str = "",
    **values: Any,
) -> Moved | Same:
    """Tell `fact` to a row and set `values` with it; a status that stays the same writes no history.

    Raises MoveRefused where the machine refuses, where the row is gone, or where others keep changing it.
    """
    for _ in range(_TRIES):
        found = (await conn.execute(sa.select(table.c.status).where(table.c.id == row_id))).scalar_one_or_none()
        if found is None:
            raise MoveRefused(f"{row_id} does not exist")
        state = Status(found)
        decision = decide(moves, state, fact)
        if isinstance(decision, Refused):
            raise MoveRefused(f"{row_id}: {decision.reason}")
        if not await compare_and_set(conn, table, row_id, {state}, status=decision.to, updated_at=now, **values):
            continue
        if isinstance(decision, Moved):
            await history.record(conn, row_id, at=now, from_status=state, to_status=decision.to, by=by, note=note)
            if account_of(table.name, state) is not account_of(table.name, decision.to) or "amount" in values:
                await follow(conn, table, row_id, decision.to, now=now, by=by)
        return decision
    raise MoveRefused(f"{row_id} is being changed by others")
