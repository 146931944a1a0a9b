"""The one way a treasury row changes its status: ask the machine, compare and set, write history and ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.bulk import change_where
from kit.db.cas import compare_and_set
from kit.db.types import in_array
from kit.state import Moved, Refused, Same, decide
from treasury.core import history
from treasury.core.history import Line
from treasury.core.status import Moves, Status
from treasury.ledger.service import follow, follow_all
from treasury.ledger.states import account_of

_TRIES = 5


class MoveRefused(Exception):
    """The row's state does not allow the fact; the transaction it was told in must not commit."""


async def transition(
    conn: AsyncConnection,
    table: sa.Table,
    moves: Moves[Status],
    row_id: str,
    fact: str,
    *,
    now: datetime,
    by: str,
    note: str = "",
    **values: Any,
) -> Moved[Status] | Same[Status]:
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
        # A panic's amount is known only when it gets its nonce, and that may leave the status as it was.
        if account_of(table.name, state) is not account_of(table.name, decision.to) or "amount" in values:
            await follow(conn, table, row_id, decision.to, now=now, by=by)
        return decision
    raise MoveRefused(f"{row_id} is being changed by others")


@dataclass(frozen=True, slots=True)
class Change:
    """One row of many that learn the same fact: what is set with it, and what its history says.

    `was`: its status, where the caller has just read or written it; it is compared when the row is written, and otherwise read.
    """

    row_id: str
    note: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    was: Status | None = None


async def transition_all(
    conn: AsyncConnection,
    table: sa.Table,
    moves: Moves[Status],
    changes: Sequence[Change],
    fact: str,
    *,
    now: datetime,
    by: str,
) -> None:
    """`transition` for many rows, in as many statements as for one; each sets the same columns. Raises MoveRefused."""
    states = {change.row_id: change.was for change in changes if change.was is not None}
    unread = [change.row_id for change in changes if change.was is None]
    if unread:
        states |= {row.id: Status(row.status) for row in await conn.execute(_states(table), {"ids": unread})}
    late: list[Change] = []
    for state in dict.fromkeys(states.values()):
        decision = decide(moves, state, fact)
        if isinstance(decision, Refused):
            raise MoveRefused(f"{next(row for row in states if states[row] is state)}: {decision.reason}")
        alike = [change for change in changes if states.get(change.row_id) is state]
        common = {"status": decision.to, "updated_at": now}
        rows = [{"id": change.row_id, **common, **change.values} for change in alike]
        done = await change_where(conn, table, rows, "status", state)
        late += [change for change in alike if change.row_id not in done]
        if isinstance(decision, Moved):
            lines = [Line(one.row_id, state, decision.to, one.note) for one in alike if one.row_id in done]
            await history.record_all(conn, lines, at=now, by=by)
            if account_of(table.name, state) is not account_of(table.name, decision.to):
                await follow_all(conn, table, sorted(done), decision.to, now=now, by=by)
    for change in [*late, *(change for change in changes if change.row_id not in states)]:
        # Another changed it in between, or it is gone: asked again, alone.
        await transition(conn, table, moves, change.row_id, fact, now=now, by=by, note=change.note, **change.values)


@cache
def _states(table: sa.Table) -> Any:
    # Written once for each table: building the text cost more than its run.
    return sa.select(table.c.id, table.c.status).where(in_array(table.c.id, "ids"))
