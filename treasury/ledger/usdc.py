"""The USDC that Stripe owes or has delivered, by session: receivable with each payout, cleared when it arrived."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.problems import Problem
from treasury.assets import USDC
from treasury.ledger import service
from treasury.ledger.machine import Account
from treasury.ledger.table import Posting, ledger

_KINDS = ("receivable", "settle_usdc")


async def owe(conn: AsyncConnection, session_id: str, amount: int, *, wallet: str, now: datetime) -> None:
    """Stripe owes the settlement address so much USDC for this session; posted once, with its payout."""
    row = service.movement(
        wallet=wallet,
        asset=USDC,
        kind="receivable",
        subject=session_id,
        source=Account.SOLD,
        target=Account.RECEIVABLE,
        amount=amount,
        now=now,
    )
    await service.post(conn, [row])


async def settle(
    conn: AsyncConnection,
    *,
    wallets: Sequence[str],
    tx_hash: str,
    by: str,
    now: datetime,
    session_id: str | None = None,
    amount: int | None = None,
) -> list[Posting]:
    """Clear what is receivable: of one session, or the oldest first up to `amount`; in part where it does not suffice.

    The same transaction again changes nothing and answers what it cleared. Raises Problem `insufficient_available`
    where less is receivable than that.
    """
    if (session_id is None) == (amount is None):
        message = "settle takes a session or an amount"
        raise ValueError(message)
    # One after the other: whoever comes second reads what the first one cleared.
    first = sa.select(ledger.c.id).where(ledger.c.wallet.in_(wallets), ledger.c.kind == "receivable")
    await conn.execute(first.order_by(ledger.c.id).limit(1).with_for_update())
    cleared = ledger.c.kind == "settle_usdc", ledger.c.wallet.in_(wallets), ledger.c.note == tx_hash
    before = await service.select(conn, *cleared)
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
            row = service.movement(
                wallet=one.wallet,
                asset=USDC,
                kind="settle_usdc",
                subject=one.session_id,
                source=Account.RECEIVABLE,
                target=Account.SETTLED,
                amount=part,
                now=now,
                sequence=one.sequence + 1,
                by=by,
                note=tx_hash,
            )
            if not await service.post(conn, [row]):
                raise Problem(409, "not_possible", "Others settled USDC in this moment; nothing was posted: try again.")
            left -= part
    return await service.select(conn, *cleared)


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
    known: dict[str, Receivable] = {}
    # By kind, as the hot wallet may hold USDC of its own.
    for row in await service.select(conn, ledger.c.wallet.in_(wallets), ledger.c.kind.in_(_KINDS)):
        before = known.get(row.subject)
        amount = row.amount if row.to_account is Account.RECEIVABLE else -row.amount
        known[row.subject] = Receivable(
            row.subject,
            row.wallet,
            amount + (before.amount if before else 0),
            row.sequence,
            before.since if before else row.at,
        )
    return [one for one in known.values() if one.amount]
