"""Operations on payouts, each in the caller's open transaction."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.abi.erc20 import reference_of
from chain.types import to_checksum
from kit.db.commit_notes import note as note_fact
from kit.db.ended_counts import ended
from kit.db.inserts import insert_or_ignore
from kit.db.paging import Position
from kit.db.types import Uint256, in_array
from kit.ids import Ids
from kit.state import Moved, Same
from treasury.core import aggregates, history
from treasury.core.aggregates import EVERYTHING, Filter
from treasury.core.assets import MUSD
from treasury.core.facts import OperationFact
from treasury.core.history import BY
from treasury.core.reasons import Reason
from treasury.core.status import OPEN, Status
from treasury.ledger import service as ledger_service
from treasury.ledger import usdc as usdc_books
from treasury.payouts.model import Payout
from treasury.payouts.states import MOVES
from treasury.payouts.table import payouts, to_payout
from treasury.transitions import transition

UNWOUND: Final[dict[OperationFact, str]] = {
    OperationFact.REJECTED: "rejected",
    OperationFact.CLOSED: "cancelled",
    OperationFact.SETTLED: "settled",
}
"""The facts by which a person ends a payout otherwise than by paying it, and how metrics call them."""


@dataclass(frozen=True, slots=True)
class Unwound:
    """A person has ended a payout otherwise than by paying it; reported after the commit. `how` is a value of UNWOUND."""

    how: str


def reference_text(session_id: str) -> str:
    """Return the reference that the payment of a session carries on chain (0x and 64 hex digits), as rows store it."""
    return "0x" + reference_of(session_id).hex()


async def create_payout(
    conn: AsyncConnection,
    *,
    session_id: str,
    stripe_session_id: str,
    to: str,
    amount: int,
    token: str,
    wallet: str,
    now: datetime,
    ids: Ids,
    usdc: int | None = None,
) -> str:
    """Create the payout of `amount` base units of MUSD to a session's buyer, once, and return its id.

    A second call returns the payout that exists, unchanged. The amount is reserved from now on, and `usdc` base units become receivable
    from Stripe.
    """
    if amount <= 0:
        raise ValueError("a payout needs an amount above zero")
    row: dict[str, Any] = {
        "id": ids.new("pay_"),
        "session_id": session_id,
        "stripe_session_id": stripe_session_id,
        "wallet": to_checksum(wallet),
        "asset": MUSD,
        "token": to_checksum(token),
        "to_address": to_checksum(to),
        "amount": amount,
        "reference": reference_text(session_id),
        "status": Status.PLANNED,
        "created_at": now,
        "updated_at": now,
    }
    for created in await insert_or_ignore(conn, payouts, [row], ["session_id"]):
        await history.record(conn, created, at=now, from_status=None, to_status=Status.PLANNED, by=BY)
        await ledger_service.move_to_account(conn, payouts, created, Status.PLANNED, now=now, by=BY)
        if usdc:
            await usdc_books.post_receivable(conn, session_id, usdc, wallet=row["wallet"], now=now)
        return created
    existing = await by_session(conn, session_id)
    if existing is None:
        raise RuntimeError(f"another process is writing the payout of session {session_id}")
    return existing.id


async def move(
    conn: AsyncConnection,
    payout_id: str,
    fact: OperationFact,
    *,
    now: datetime,
    by: str = BY,
    note: str = "",
    **values: Any,
) -> Moved[Status] | Same[Status]:
    """Apply a fact to a payout. Raises MoveRefused if its state does not allow the fact."""
    decision = await transition(conn, payouts, MOVES, payout_id, fact, now=now, by=by, note=note, **values)
    if isinstance(decision, Moved) and fact in UNWOUND:
        note_fact(conn, Unwound(UNWOUND[fact]))
    return decision


async def get(conn: AsyncConnection, payout_id: str) -> Payout | None:
    """Return a payout by its id; None if there is none."""
    return await _one(conn, payouts.c.id == payout_id)


_BY_ID = sa.select(payouts).where(in_array(payouts.c.id, "ids"))


async def get_all(conn: AsyncConnection, payout_ids: Sequence[str]) -> list[Payout]:
    """Return payouts by their ids, in any order."""
    return [to_payout(row) for row in (await conn.execute(_BY_ID, {"ids": list(payout_ids)})).fetchall()]


async def by_session(conn: AsyncConnection, session_id: str) -> Payout | None:
    """Return the payout of a session; None if it has none."""
    return await _one(conn, payouts.c.session_id == session_id)


async def by_reference(conn: AsyncConnection, reference: str) -> Payout | None:
    """Return the payout whose session id hashes to `reference` (0x and 64 hex digits); None if there is none."""
    return await _one(conn, payouts.c.reference == reference)


async def page(
    conn: AsyncConnection, *, limit: int = 50, chosen: Filter = EVERYTHING, before: Position | None = None
) -> list[Payout]:
    """Return up to `limit` payouts, newest first: those that `chosen` selects, with `before` those after that position of the list."""
    rows = await conn.execute(aggregates.newest(payouts, limit, chosen, before))
    return [to_payout(row) for row in rows.fetchall()]


async def held_for_screening(conn: AsyncConnection) -> list[Payout]:
    """Return the payouts that are held because their recipient was on the sanctions list, oldest first."""
    c = payouts.c
    query = sa.select(payouts).where(c.status == Status.HELD, c.reason == Reason.SCREENING)
    return [to_payout(row) for row in (await conn.execute(query.order_by(c.created_at, c.id))).fetchall()]


async def release_delisted(conn: AsyncConnection, listed: Container[str], *, now: datetime) -> int:
    """Let payouts held for screening queue again whose recipient is not in `listed`; return how many."""
    count = 0
    for payout in await held_for_screening(conn):
        if payout.to not in listed:
            note = "the recipient is no longer on the sanctions list"
            await move(conn, payout.id, OperationFact.DELISTED, now=now, note=note, reason=None)
            count += 1
    return count


_DISPUTED = sa.or_(
    payouts.c.status == Status.AWAITING_APPROVAL,
    sa.and_(payouts.c.status == Status.HELD, payouts.c.reason == Reason.PAYMENT_MISMATCH),
)
RESERVED: Final = aggregates.reserved(
    payouts,
    OPEN,
    sa.not_(sa.and_(_DISPUTED, payouts.c.amount > sa.bindparam("balance", type_=Uint256()))),
)
"""The queries of the amounts that `reserved` adds up."""
_RESERVED = aggregates.total_of(*RESERVED)
_OUTGOING = aggregates.outgoing(payouts)


async def reserved(
    conn: AsyncConnection, wallet: str, asset: str, block_number: int | None = None, *, balance: int
) -> int:
    """Return the base units that open payouts reserve of `balance`, and those of payouts final after block `block_number`.

    A balance read at a block does not include what left the wallet in later blocks, so that still counts. A payout that waits for a
    person, or that Stripe contradicts, and that is above the whole `balance`, reserves nothing: it cannot be paid now, and would stop all
    sales until a person has looked at it.
    """
    block = aggregates.NO_BLOCK if block_number is None else block_number
    return await aggregates.total(conn, _RESERVED, wallet=wallet, asset=asset, block=block, balance=balance)


async def outgoing(conn: AsyncConnection, wallet: str, asset: str, block_number: int) -> int:
    """Return the base units that payouts with a nonce take out of a balance read at `block_number`."""
    return await aggregates.total(conn, _OUTGOING, wallet=wallet, asset=asset, block=block_number)


async def count_by_status(conn: AsyncConnection) -> dict[str, int]:
    """Return how many payouts are in each status. Only the open ones are read; ended ones are counted by `kit.db.ended_counts`."""
    return await ended(conn, "payouts") | await aggregates.count_open(conn, payouts)


async def _one(conn: AsyncConnection, condition: sa.ColumnElement[bool]) -> Payout | None:
    row = (await conn.execute(sa.select(payouts).where(condition))).first()
    return None if row is None else to_payout(row)
