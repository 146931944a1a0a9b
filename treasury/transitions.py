"""The one way a payout, sweep or transaction changes its status: ask the state machine, compare and set, write history and ledger."""

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
from treasury.ledger.service import move_all_to_account, move_to_account
from treasury.ledger.states import account_of

_MAX_TRIES = 5


class MoveRefused(Exception):
    """The row's state does not allow the fact. The database transaction must not commit."""


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
    """Apply `fact` to a row and set `values` with it; a status that stays the same writes no history.

    Raises MoveRefused if the state machine refuses, the row does not exist, or other writers keep changing it.
    """
    for _ in range(_MAX_TRIES):
        status = (await conn.execute(sa.select(table.c.status).where(table.c.id == row_id))).scalar_one_or_none()
        if status is None:
            raise MoveRefused(f"{row_id} does not exist")
        state = Status(status)
        decision = decide(moves, state, fact)
        if isinstance(decision, Refused):
            raise MoveRefused(f"{row_id}: {decision.reason}")
        if not await compare_and_set(conn, table, row_id, {state}, status=decision.to, updated_at=now, **values):
            continue
        if isinstance(decision, Moved):
            await history.record(conn, row_id, at=now, from_status=state, to_status=decision.to, by=by, note=note)
        # A panic's amount is known only when it gets its nonce, and that may leave the status as it was.
        if account_of(table.name, state) is not account_of(table.name, decision.to) or "amount" in values:
            await move_to_account(conn, table, row_id, decision.to, now=now, by=by)
        return decision
    raise MoveRefused(f"{row_id} is being changed by others")


@dataclass(frozen=True, slots=True)
class Change:
    """One of many rows to which the same fact is applied: the columns to set with it, and the note for its history.

    `was` is the row's status if the caller has just read or written it, and is compared when the row is written; None: it is read first.
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
    """Apply `fact` to many rows in as many statements as to one; every change sets the same columns. Raises MoveRefused."""
    states = {change.row_id: change.was for change in changes if change.was is not None}
    unread = [change.row_id for change in changes if change.was is None]
    if unread:
        states |= {row.id: Status(row.status) for row in await conn.execute(_statuses(table), {"ids": unread})}
    overtaken: list[Change] = []
    for state in dict.fromkeys(states.values()):
        decision = decide(moves, state, fact)
        if isinstance(decision, Refused):
            raise MoveRefused(f"{next(row for row in states if states[row] is state)}: {decision.reason}")
        in_state = [change for change in changes if states.get(change.row_id) is state]
        common = {"status": decision.to, "updated_at": now}
        rows = [{"id": change.row_id, **common, **change.values} for change in in_state]
        done = await change_where(conn, table, rows, "status", state)
        overtaken += [change for change in in_state if change.row_id not in done]
        if isinstance(decision, Moved):
            lines = [
                Line(change.row_id, state, decision.to, change.note) for change in in_state if change.row_id in done
            ]
            await history.record_all(conn, lines, at=now, by=by)
            if account_of(table.name, state) is not account_of(table.name, decision.to):
                await move_all_to_account(conn, table, sorted(done), decision.to, now=now, by=by)
    for change in [*overtaken, *(change for change in changes if change.row_id not in states)]:
        # Another writer changed the row meanwhile, or it does not exist: apply the fact to it alone.
        await transition(conn, table, moves, change.row_id, fact, now=now, by=by, note=change.note, **change.values)


@cache
def _statuses(table: sa.Table) -> Any:
    # Built once for each table: building the statement takes longer than running it.
    return sa.select(table.c.id, table.c.status).where(in_array(table.c.id, "ids"))
