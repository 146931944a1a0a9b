"""Payouts and sweeps as the sender sees them: what a transaction is for, told apart by the id alone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.types import in_array
from kit.state import Moved, Refused, Same, decide
from treasury.core.history import BY
from treasury.core.status import Moves, Status
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.payouts.states import MOVES as PAYOUT_MOVES
from treasury.payouts.table import payouts as payouts_table
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import MOVES as SWEEP_MOVES
from treasury.sweeps.table import sweeps as sweeps_table
from treasury.transactions.model import Transaction
from treasury.transitions import Change, transition, transition_all

Operation = Payout | Sweep
NO_OPERATION = "nop_"
"""Begins the operation id of a transaction that only spends a nonce."""

_REASON = {
    table: sa.update(table).where(in_array(table.c.id, "ids")).values(reason=sa.bindparam("why"))
    for table in (payouts_table, sweeps_table)
}


def kind_of(operation_id: str) -> str:
    """`payout`, `sweep`, or `nothing` for a transaction that only spends a nonce."""
    return {"pay_": "payout", "swp_": "sweep"}.get(operation_id[:4], "nothing")


def ids_of(subject: Transaction | Operation) -> dict[str, str]:
    """What a line of the log about a transaction, payout or sweep names: `session` where it is a purchase's, `operation`, `transaction`.

    One step of the sender treats many purchases, so these are given to each line and never bound to the task.
    """
    session = None if isinstance(subject, Sweep) else subject.session_id
    ids = {} if session is None else {"session": session}
    if isinstance(subject, Transaction):
        return {**ids, "operation": subject.operation_id, "transaction": subject.id}
    return {**ids, "operation": subject.id}


def _room(operation_id: str) -> tuple[sa.Table, Moves[Status]] | None:
    return {"payout": (payouts_table, PAYOUT_MOVES), "sweep": (sweeps_table, SWEEP_MOVES)}.get(kind_of(operation_id))


async def move(
    conn: AsyncConnection, operation_id: str, fact: str, *, now: datetime, by: str = BY, note: str = "", **values: Any
) -> Moved[Status] | Same[Status] | None:
    """Tell a fact to whatever a transaction is for; None where it is for nothing. Raises MoveRefused."""
    if kind_of(operation_id) == "sweep":
        return await sweeps_service.move(conn, operation_id, fact, now=now, by=by, note=note, **values)
    room = _room(operation_id)
    if room is None:
        return None
    return await transition(conn, *room, operation_id, fact, now=now, by=by, note=note, **values)


async def move_all(conn: AsyncConnection, changes: Sequence[Change], fact: str, *, now: datetime) -> None:
    """Tell a fact to what many transactions are for. Raises MoveRefused."""
    owed = [change for change in changes if kind_of(change.row_id) == "payout"]
    if owed:
        await transition_all(conn, payouts_table, PAYOUT_MOVES, owed, fact, now=now, by=BY)
    for change in changes:
        if kind_of(change.row_id) != "payout":
            await move(conn, change.row_id, fact, now=now, note=change.note, **change.values)


async def set_reason(conn: AsyncConnection, operation_ids: Sequence[str], reason: str | None) -> None:
    """Why these wait, without a change of status."""
    for table, statement in _REASON.items():
        ids = [one for one in operation_ids if (room := _room(one)) is not None and room[0] is table]
        if ids:
            await conn.execute(statement, {"ids": ids, "why": reason})


async def get(conn: AsyncConnection, operation_id: str) -> Operation | None:
    """One payout or sweep."""
    kind = kind_of(operation_id)
    if kind == "sweep":
        return await sweeps_service.get(conn, operation_id)
    return await payouts_service.get(conn, operation_id) if kind == "payout" else None


async def get_all(conn: AsyncConnection, operation_ids: Sequence[str]) -> dict[str, Operation]:
    """These payouts and sweeps, by id."""
    found: dict[str, Operation] = {}
    owed = [one for one in operation_ids if kind_of(one) == "payout"]
    if owed:
        found |= {payout.id: payout for payout in await payouts_service.get_all(conn, owed)}
    for one in operation_ids:
        if kind_of(one) == "sweep" and (sweep := await sweeps_service.get(conn, one)) is not None:
            found[one] = sweep
    return found


async def by_reference(conn: AsyncConnection, reference: str) -> Operation | None:
    """Whatever hashes to the reference that a transaction carries."""
    return await payouts_service.by_reference(conn, reference) or await sweeps_service.by_reference(conn, reference)


def refuses(operation: Operation, fact: str) -> bool:
    """Whether the operation cannot take this fact in its state."""
    moves = PAYOUT_MOVES if isinstance(operation, Payout) else SWEEP_MOVES
    return isinstance(decide(moves, operation.status, fact), Refused)


async def outgoing(conn: AsyncConnection, wallet: str, asset: str, block_number: int) -> int:
    """Base units that signed transactions take out of a balance read at `block_number`."""
    return await payouts_service.outgoing(conn, wallet, asset, block_number) + await sweeps_service.outgoing(
        conn, wallet, asset, block_number
    )
