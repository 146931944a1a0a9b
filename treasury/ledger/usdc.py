"""The USDC that Stripe owes or has delivered, by session: receivable with each payout, cleared when it arrived."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.http.problems import Problem
from treasury.core.assets import USDC
from treasury.ledger import service as ledger_service
from treasury.ledger.states import Account
from treasury.ledger.table import Posting, ledger

_SETTLE = "settle_usdc"
_REVERSE = "reverse_usdc"
_KINDS = ("receivable", _SETTLE, _REVERSE)


async def post_receivable(conn: AsyncConnection, session_id: str, amount: int, *, wallet: str, now: datetime) -> None:
    """Stripe owes the settlement address so much USDC for this session; posted once, with its payout."""
    row = ledger_service.movement(
        wallet=wallet,
        asset=USDC,
        kind="receivable",
        subject=session_id,
        source=Account.SOLD,
        target=Account.RECEIVABLE,
        amount=amount,
        now=now,
    )
    await ledger_service.post(conn, [row])


async def lock(conn: AsyncConnection, wallets: Sequence[str]) -> None:
    """Hold off everybody else who settles or reverses: whoever comes second reads what the first one wrote."""
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
    """Clear what is receivable: of one session, or the oldest first up to `amount`; in part where it does not suffice.

    With both, so much of that session. The same transaction again changes nothing and answers what it cleared; `shared`: unless
    it cleared other sessions only. Raises Problem `insufficient_available` where less is receivable than that.
    """
    if session_id is None and amount is None:
        message = "settle takes a session or an amount"
        raise ValueError(message)
    await lock(conn, wallets)
    scope = session_id if shared else None
    before = await cleared(conn, wallets, tx_hash, scope)
    if before:
        return before
    waiting = await receivable(conn, wallets)
    if session_id is not None:
        waiting = [one for one in waiting if one.session_id == session_id]
    left = sum(one.amount for one in waiting) if amount is None else amount
    if left <= 0 or left > sum(one.amount for one in waiting):
        raise Problem(409, "insufficient_available", "Less USDC than that is receivable; nothing was posted.")
    for one in waiting:
        part = min(one.amount, left)
        if part:
            await _move(conn, one, part, tx_hash=tx_hash, by=by, now=now)
            left -= part
    return await cleared(conn, wallets, tx_hash, scope)


async def cleared(
    conn: AsyncConnection, wallets: Sequence[str], tx_hash: str, session_id: str | None = None
) -> list[Posting]:
    """What the transaction has cleared and nobody has taken back, of one session where given."""
    conditions = [ledger.c.wallet.in_(wallets), ledger.c.note == tx_hash, ledger.c.kind.in_([_SETTLE, _REVERSE])]
    if session_id is not None:
        conditions.append(ledger.c.subject == session_id)
    standing: dict[str, list[Posting]] = {}
    for row in await ledger_service.select(conn, *conditions):
        if row.kind == _REVERSE:
            standing.pop(row.subject, None)
        else:
            standing.setdefault(row.subject, []).append(row)
    return sorted((row for rows in standing.values() for row in rows), key=lambda row: row.id)


async def reverse(
    conn: AsyncConnection, *, wallets: Sequence[str], tx_hash: str, session_id: str | None, by: str, now: datetime
) -> list[Posting]:
    """Take back what the transaction cleared, with a counter-entry for each posting: it is receivable again."""
    await lock(conn, wallets)
    rows = await cleared(conn, wallets, tx_hash, session_id)
    amounts: dict[str, int] = {}
    for row in rows:
        amounts[row.subject] = amounts.get(row.subject, 0) + row.amount
    known = {one.session_id: one for one in await _sessions(conn, wallets)}
    for subject, amount in amounts.items():
        await _move(conn, known[subject], amount, tx_hash=tx_hash, by=by, now=now, back=True)
    return rows


async def _move(
    conn: AsyncConnection, one: "Receivable", amount: int, *, tx_hash: str, by: str, now: datetime, back: bool = False
) -> None:
    row = ledger_service.movement(
        wallet=one.wallet,
        asset=USDC,
        kind=_REVERSE if back else _SETTLE,
        subject=one.session_id,
        source=Account.SETTLED if back else Account.RECEIVABLE,
        target=Account.RECEIVABLE if back else Account.SETTLED,
        amount=amount,
        now=now,
        sequence=one.sequence + 1,
        by=by,
        note=tx_hash,
    )
    if not await ledger_service.post(conn, [row]):
        raise Problem(409, "not_possible", "Others settled USDC in this moment; nothing was posted: try again.")


@dataclass(frozen=True, slots=True)
class Receivable:
    """USDC, in base units, that one session still has to bring; `wallet` paid its buyer, `sequence` is its last posting's."""

    session_id: str
    wallet: str
    amount: int
    sequence: int
    since: datetime


async def receivable(conn: AsyncConnection, wallets: Sequence[str]) -> list[Receivable]:
    """Sessions with USDC still to come, oldest first. Stripe brings it to one address, whichever wallet paid the buyer."""
    return [one for one in await _sessions(conn, wallets) if one.amount]


async def _sessions(conn: AsyncConnection, wallets: Sequence[str]) -> list[Receivable]:
    """Every session that ever brought or owed USDC, oldest first; `amount` is 0 where all of it has come."""
    known: dict[str, Receivable] = {}
    # By kind, as the hot wallet may hold USDC of its own.
    for row in await ledger_service.select(conn, ledger.c.wallet.in_(wallets), ledger.c.kind.in_(_KINDS)):
        before = known.get(row.subject)
        amount = row.amount if row.to_account is Account.RECEIVABLE else -row.amount
        known[row.subject] = Receivable(
            row.subject,
            row.wallet,
            amount + (before.amount if before else 0),
            row.sequence,
            before.since if before else row.at,
        )
    return list(known.values())
