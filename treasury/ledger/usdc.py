"""The USDC that Stripe owes or has delivered, by session: receivable from the payout on, cleared once it has arrived."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.types import constant, in_array
from kit.http.problems import Problem
from treasury.core.assets import USDC
from treasury.ledger import service as ledger_service
from treasury.ledger import totals
from treasury.ledger.model import Movement, Posting
from treasury.ledger.states import Account
from treasury.ledger.table import ledger, to_posting

_SETTLE = "settle_usdc"
_REVERSE = "reverse_usdc"
_KINDS = ("receivable", _SETTLE, _REVERSE)
_CLEARS = ledger.c.kind.in_([constant(_SETTLE), constant(_REVERSE)])
"""As the partial index `ix_treasury_ledger_note` has it."""


async def post_receivable(conn: AsyncConnection, session_id: str, amount: int, *, wallet: str, now: datetime) -> None:
    """Post, once, the base units of USDC that Stripe owes the settlement address for this session."""
    movement = Movement(
        wallet=wallet,
        asset=USDC,
        kind="receivable",
        subject=session_id,
        source=Account.SOLD,
        target=Account.RECEIVABLE,
        amount=amount,
        at=now,
    )
    await ledger_service.post(conn, [movement])


async def lock(conn: AsyncConnection, wallets: Sequence[str]) -> None:
    """Lock the oldest receivable posting of these wallets until the transaction ends, so that settlements and reversals run one after another.

    Each then reads what the one before wrote. Callers pass the same wallets. Without a receivable nothing is locked.
    """
    first = sa.select(ledger.c.id).where(ledger.c.wallet.in_(wallets), ledger.c.kind == "receivable")
    await conn.execute(first.order_by(ledger.c.id).limit(1).with_for_update())


async def settle(
    conn: AsyncConnection,
    *,
    wallets: Sequence[str],
    tx_hash: str,
    by: str,
    now: datetime,
    session_id: str | None = None,
    amount: int | None = None,
    shared: bool = False,
) -> list[Posting]:
    """Clear the receivable USDC of one session, or `amount` base units of the oldest sessions, the last of them in part; return the postings.

    With both, `amount` of that session. A transaction that cleared something before changes nothing and returns what it cleared; with
    `shared` that counts for the same session only. Raises Problem `insufficient_available` if less is receivable.
    """
    if session_id is None and amount is None:
        raise ValueError("settle takes a session or an amount")
    await lock(conn, wallets)
    scope = session_id if shared else None
    cleared_before = await cleared(conn, wallets, tx_hash, scope)
    if cleared_before:
        return cleared_before
    waiting = await receivable(conn, wallets)
    if session_id is not None:
        waiting = [row for row in waiting if row.session_id == session_id]
    total = sum(row.amount for row in waiting)
    remaining = total if amount is None else amount
    if not 0 < remaining <= total:
        raise Problem(409, "insufficient_available", "Less USDC than that is receivable; nothing was posted.")
    for row in waiting:
        part = min(row.amount, remaining)
        if part:
            await _post(conn, row, part, tx_hash=tx_hash, by=by, now=now)
            remaining -= part
    return await cleared(conn, wallets, tx_hash, scope)


async def cleared(
    conn: AsyncConnection, wallets: Sequence[str], tx_hash: str, session_id: str | None = None
) -> list[Posting]:
    """Return the postings by which a transaction cleared USDC and that were not reversed; with `session_id`, those of that session."""
    conditions = [ledger.c.wallet.in_(wallets), ledger.c.note == tx_hash, _CLEARS]
    if session_id is not None:
        conditions.append(ledger.c.subject == session_id)
    postings: dict[str, list[Posting]] = {}
    for row in await ledger_service.select(conn, *conditions):
        if row.kind == _REVERSE:
            postings.pop(row.subject, None)
        else:
            postings.setdefault(row.subject, []).append(row)
    return sorted((row for rows in postings.values() for row in rows), key=lambda row: row.id)


async def reverse(
    conn: AsyncConnection, *, wallets: Sequence[str], tx_hash: str, session_id: str | None, by: str, now: datetime
) -> list[Posting]:
    """Reverse what a transaction cleared, or with `session_id` what it cleared of that session, with a counter-entry for each session.

    The USDC is receivable again. Return the original postings, not the counter-entries. Raises Problem `not_possible` if another process
    posted first.
    """
    await lock(conn, wallets)
    rows = await cleared(conn, wallets, tx_hash, session_id)
    amounts: dict[str, int] = {}
    for row in rows:
        amounts[row.subject] = amounts.get(row.subject, 0) + row.amount
    sessions = {row.session_id: row for row in await _of_sessions(conn, wallets, list(amounts))}
    for subject, amount in amounts.items():
        await _post(conn, sessions[subject], amount, tx_hash=tx_hash, by=by, now=now, reversal=True)
    return rows


async def _post(
    conn: AsyncConnection,
    of: "Receivable",
    amount: int,
    *,
    tx_hash: str,
    by: str,
    now: datetime,
    reversal: bool = False,
) -> None:
    movement = Movement(
        wallet=of.wallet,
        asset=USDC,
        kind=_REVERSE if reversal else _SETTLE,
        subject=of.session_id,
        source=Account.SETTLED if reversal else Account.RECEIVABLE,
        target=Account.RECEIVABLE if reversal else Account.SETTLED,
        amount=amount,
        at=now,
        sequence=of.sequence + 1,
        by=by,
        note=tx_hash,
    )
    if not await ledger_service.post(conn, [movement]):
        raise Problem(
            409, "not_possible", "Someone else settled USDC at the same time, so nothing was posted. Try again."
        )


@dataclass(frozen=True, slots=True)
class Receivable:
    """The base units of USDC that Stripe still has to deliver for one session.

    `wallet` paid the buyer, `sequence` is that of the last posting, `since` is when the USDC became receivable.
    """

    session_id: str
    wallet: str
    amount: int
    sequence: int
    since: datetime


async def receivable(conn: AsyncConnection, wallets: Sequence[str]) -> list[Receivable]:
    """Return the sessions whose USDC has not all arrived, oldest first. All USDC goes to one address, whichever hot wallet paid the buyer."""
    sessions = await totals.open_sessions(conn, wallets)
    return [row for row in await _of_sessions(conn, wallets, sessions) if row.amount]


async def _of_sessions(conn: AsyncConnection, wallets: Sequence[str], session_ids: Sequence[str]) -> list[Receivable]:
    """Return these sessions, the oldest receivable first; `amount` is 0 if all of a session's USDC has arrived."""
    receivables: dict[str, Receivable] = {}
    if not session_ids:
        return []
    # Selected by kind, because the hot wallet may hold USDC of its own.
    query = sa.select(ledger).where(
        in_array(ledger.c.subject, "ids"), ledger.c.wallet.in_(wallets), ledger.c.kind.in_(_KINDS)
    )
    rows = (await conn.execute(query.order_by(ledger.c.id), {"ids": list(session_ids)})).fetchall()
    for row in map(to_posting, rows):
        before = receivables.get(row.subject)
        amount = row.amount if row.to_account is Account.RECEIVABLE else -row.amount
        receivables[row.subject] = Receivable(
            row.subject,
            row.wallet,
            amount + (before.amount if before else 0),
            row.sequence,
            before.since if before else row.at,
        )
    return list(receivables.values())
