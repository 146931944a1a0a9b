"""Payouts and sweeps under one type: the operations that transactions carry out. The prefix of an id tells which kind it is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.types import in_array
from kit.state import Refused, decide
from treasury.core.facts import OperationFact
from treasury.core.history import BY
from treasury.core.status import Status
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.payouts.states import MOVES as PAYOUT_MOVES
from treasury.payouts.table import payouts as payouts_table
from treasury.sender.context import SenderContext
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import MOVES as SWEEP_MOVES
from treasury.sweeps.table import sweeps as sweeps_table
from treasury.transactions.model import BATCH_PREFIX, BatchPayment, Transaction
from treasury.transitions import Change, MoveRefused, transition_all

Operation = Payout | Sweep
NO_OPERATION = "nop_"
"""The prefix of the operation id of a transaction that only spends a nonce."""

_SET_REASON = {
    kind: sa.update(table).where(in_array(table.c.id, "ids")).values(reason=sa.bindparam("why"))
    for kind, table in (("payout", payouts_table), ("sweep", sweeps_table))
}
_CARRIED = sa.select(payouts_table.c.id, payouts_table.c.status).where(
    in_array(payouts_table.c.id, "ids"), payouts_table.c.transaction_id == sa.bindparam("transaction")
)


def kind_of(operation_id: str) -> str:
    """Return `payout`, `sweep`, `batch`, or `nothing` for the operation id of a transaction that only spends a nonce."""
    return {"pay_": "payout", "swp_": "sweep", BATCH_PREFIX: "batch"}.get(operation_id[:4], "nothing")


def ids_of(subject: Transaction | Operation) -> dict[str, str]:
    """Return the ids that a log line about a transaction or operation carries: `session` (of a purchase), `operation`, `transaction`.

    One step of the sender handles many purchases, so each line gets these ids and they are never bound to the task.
    """
    session = None if isinstance(subject, Sweep) else subject.session_id
    ids = {} if session is None else {"session": session}
    if isinstance(subject, Transaction):
        return {**ids, "operation": subject.operation_id, "transaction": subject.id}
    return {**ids, "operation": subject.id}


def subjects_of(transaction: Transaction) -> list[tuple[str, dict[str, str]]]:
    """Return the operations that a transaction carries out, as (operation id, ids of its log lines); one entry for a transaction of no operation."""
    if not transaction.is_batch:
        return [(transaction.operation_id, ids_of(transaction))]
    return [
        (payment.payout_id, ids_of_payment(transaction, payment))
        for payment in transaction.payments
        if payment.payout_id is not None
    ]


def ids_of_payment(transaction: Transaction, payment: BatchPayment) -> dict[str, str]:
    """Return the ids that a log line about one payment of a batch carries: `session`, `operation` (the payout), `transaction`; unknown ones are left out."""
    session = {} if payment.session_id is None else {"session": payment.session_id}
    operation = {} if payment.payout_id is None else {"operation": payment.payout_id}
    return {**session, **operation, "transaction": transaction.id}


def report_forged_row(
    context: SenderContext, transaction: Transaction, refused: MoveRefused | str | None = None
) -> None:
    """Raise the alarm about a row in a state that no step of the sender gives it. Persons decide; other rows are processed."""
    detail = {} if refused is None else {"detail": str(refused)}
    context.alarms.raise_alarm("row_forged", transaction.id, **ids_of(transaction), **detail)


async def move(
    conn: AsyncConnection,
    operation_id: str,
    fact: OperationFact,
    *,
    now: datetime,
    by: str = BY,
    note: str = "",
    **values: Any,
) -> None:
    """Apply a fact to the operation with this id, unless it only spends a nonce. Raises MoveRefused."""
    kind = kind_of(operation_id)
    if kind == "payout":
        await payouts_service.move(conn, operation_id, fact, now=now, by=by, note=note, **values)
    elif kind == "sweep":
        await sweeps_service.move(conn, operation_id, fact, now=now, by=by, note=note, **values)


async def move_all(conn: AsyncConnection, changes: Sequence[Change], fact: OperationFact, *, now: datetime) -> None:
    """Apply a fact to the operations of several transactions: to all payouts at once, to each sweep by itself. Raises MoveRefused."""
    payouts = [change for change in changes if kind_of(change.row_id) == "payout"]
    if payouts:
        await transition_all(conn, payouts_table, PAYOUT_MOVES, payouts, fact, now=now, by=BY)
    for change in changes:
        if kind_of(change.row_id) != "payout":
            await move(conn, change.row_id, fact, now=now, note=change.note, **change.values)


async def changes_for(
    conn: AsyncConnection, transactions: Sequence[Transaction], note: str = "", **values: Any
) -> list[Change]:
    """Return the same change for each payout and sweep that these transactions carry out.

    A payout of a batch that another transaction carries out by now is left out.
    """
    changes = [
        Change(transaction.operation_id, note, values) for transaction in transactions if not transaction.is_batch
    ]
    for transaction in transactions:
        if transaction.is_batch:
            parameters = {"ids": list(transaction.operation_ids), "transaction": transaction.id}
            statuses = {row.id: Status(row.status) for row in await conn.execute(_CARRIED, parameters)}
            ids = [payout_id for payout_id in transaction.operation_ids if payout_id in statuses]
            changes += [Change(payout_id, note, values, statuses[payout_id]) for payout_id in ids]
    return changes


async def payouts_of(conn: AsyncConnection, batch: Transaction) -> list[Payout]:
    """Return the payouts that a batch carries out and no other transaction does by now, in the order of its payments."""
    payouts = {payout.id: payout for payout in await payouts_service.get_all(conn, batch.operation_ids)}
    return [
        payouts[payout_id]
        for payout_id in batch.operation_ids
        if payout_id in payouts and payouts[payout_id].transaction_id == batch.id
    ]


async def move_carried(
    context: SenderContext,
    conn: AsyncConnection,
    transaction: Transaction,
    fact: OperationFact,
    *,
    now: datetime,
    note: str = "",
    **values: Any,
) -> None:
    """Apply a fact to everything that a transaction carries out. Raises MoveRefused, but not for one payout of a batch.

    Such a payout keeps its state, with an alarm: the others do not depend on it.
    """
    if transaction.is_batch:
        changes: list[Change] = []
        for payout in await payouts_of(conn, transaction):
            if refuses(payout, fact):
                report_forged_row(context, transaction, f"{payout.id} is {payout.status}, which excludes {fact}")
            else:
                changes.append(Change(payout.id, note, values, payout.status))
        await move_all(conn, changes, fact, now=now)
    else:
        await move(conn, transaction.operation_id, fact, now=now, note=note, **values)


async def set_reason(conn: AsyncConnection, operation_ids: Sequence[str], reason: str | None) -> None:
    """Set the reason for which these operations wait, without a change of status; None clears it."""
    for kind, statement in _SET_REASON.items():
        ids = [operation_id for operation_id in operation_ids if kind_of(operation_id) == kind]
        if ids:
            await conn.execute(statement, {"ids": ids, "why": reason})


async def get(conn: AsyncConnection, operation_id: str) -> Operation | None:
    """Return a payout or sweep by its id; None if there is none, as for a transaction that only spends a nonce."""
    kind = kind_of(operation_id)
    if kind == "sweep":
        return await sweeps_service.get(conn, operation_id)
    return await payouts_service.get(conn, operation_id) if kind == "payout" else None


async def get_all(conn: AsyncConnection, operation_ids: Sequence[str]) -> dict[str, Operation]:
    """Return these payouts and sweeps by id."""
    operations: dict[str, Operation] = {}
    payout_ids = [operation_id for operation_id in operation_ids if kind_of(operation_id) == "payout"]
    if payout_ids:
        operations |= {payout.id: payout for payout in await payouts_service.get_all(conn, payout_ids)}
    for operation_id in operation_ids:
        if kind_of(operation_id) == "sweep" and (sweep := await sweeps_service.get(conn, operation_id)) is not None:
            operations[operation_id] = sweep
    return operations


async def by_reference(conn: AsyncConnection, reference: str) -> Operation | None:
    """Return the payout or sweep whose id hashes to the reference that a transaction carries; None if there is none."""
    return await payouts_service.by_reference(conn, reference) or await sweeps_service.by_reference(conn, reference)


def refuses(operation: Operation, fact: OperationFact) -> bool:
    """Return whether the fact is impossible in the operation's status."""
    moves = PAYOUT_MOVES if isinstance(operation, Payout) else SWEEP_MOVES
    return isinstance(decide(moves, operation.status, fact), Refused)


async def outgoing(conn: AsyncConnection, wallet: str, asset: str, block_number: int) -> int:
    """Return the base units that signed transactions take out of a balance read at `block_number`."""
    return await payouts_service.outgoing(conn, wallet, asset, block_number) + await sweeps_service.outgoing(
        conn, wallet, asset, block_number
    )
