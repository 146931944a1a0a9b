"""The verbs of payouts, each in the caller's open transaction."""

from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.abi.erc20 import reference_of
from chain.types import to_checksum
from kit.db.ended_counts import ended
from kit.db.inserts import insert_or_ignore
from kit.db.types import Uint256, in_array
from kit.ids import Ids
from kit.state import Moved, Same
from treasury.core import aggregates, history
from treasury.core.assets import MUSD
from treasury.core.facts import OperationFact
from treasury.core.history import BY
from treasury.core.reasons import Reason
from treasury.core.status import OPEN, Status
from treasury.ledger import service as ledger_service
from treasury.ledger import usdc as usdc_books
from treasury.payouts.states import MOVES
from treasury.payouts.table import Payout, payouts, to_payout
from treasury.transitions import transition


def reference_text(session_id: str) -> str:
    """What the payment of a session carries on the chain, as rows keep it."""
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
    """Owe a session's buyer `amount` base units of MUSD, once: a second call answers the payout that exists, unchanged.

    The amount is held from now on; `usdc` base units become receivable from Stripe.
    """
    if amount <= 0:
        message = "a payout needs an amount above zero"
        raise ValueError(message)
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
        await ledger_service.follow(conn, payouts, created, Status.PLANNED, now=now, by=BY)
        if usdc:
            await usdc_books.post_receivable(conn, session_id, usdc, wallet=row["wallet"], now=now)
        return created
    existing = await by_session(conn, session_id)
    if existing is None:
        message = f"the payout of session {session_id} is being written by another"
        raise RuntimeError(message)
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
    """Tell a fact to a payout. Raises MoveRefused."""
    return await transition(conn, payouts, MOVES, payout_id, fact, now=now, by=by, note=note, **values)


async def get(conn: AsyncConnection, payout_id: str) -> Payout | None:
    """One payout."""
    return await _one(conn, payouts.c.id == payout_id)


_BY_ID = sa.select(payouts).where(in_array(payouts.c.id, "ids"))


async def get_all(conn: AsyncConnection, payout_ids: Sequence[str]) -> list[Payout]:
    """These, in any order."""
    return [to_payout(row) for row in (await conn.execute(_BY_ID, {"ids": list(payout_ids)})).fetchall()]


async def by_session(conn: AsyncConnection, session_id: str) -> Payout | None:
    """The payout of a session."""
    return await _one(conn, payouts.c.session_id == session_id)


async def by_reference(conn: AsyncConnection, reference: str) -> Payout | None:
    """The payout whose session id hashes to `reference` (0x and 64 hex digits)."""
    return await _one(conn, payouts.c.reference == reference)


async def page(
    conn: AsyncConnection, *, limit: int = 50, status: Status | None = None, before: tuple[datetime, str] | None = None
) -> list[Payout]:
    """Newest first; `before` is the (created_at, id) of the last one seen."""
    found = await conn.execute(aggregates.newest(payouts, limit, status, before))
    return [to_payout(row) for row in found.fetchall()]


async def held_for_screening(conn: AsyncConnection) -> list[Payout]:
    """Those held because their recipient was listed, oldest first."""
    c = payouts.c
    query = sa.select(payouts).where(c.status == Status.HELD, c.reason == Reason.SCREENING)
    return [to_payout(row) for row in (await conn.execute(query.order_by(c.created_at, c.id))).fetchall()]


async def release_delisted(conn: AsyncConnection, listed: Container[str], *, now: datetime) -> int:
    """Let those queue again whose recipient is not `listed` any more; how many."""
    count = 0
    for payout in await held_for_screening(conn):
        if payout.to not in listed:
            note = "the recipient is not listed any more"
            await move(conn, payout.id, OperationFact.DELISTED, now=now, note=note, reason=None)
            count += 1
    return count


_DOUBTFUL = sa.or_(
    payouts.c.status == Status.AWAITING_APPROVAL,
    sa.and_(payouts.c.status == Status.HELD, payouts.c.reason == Reason.PAYMENT_MISMATCH),
)
_HELD = aggregates.reserved(
    payouts,
    OPEN,
    sa.not_(sa.and_(_DOUBTFUL, payouts.c.amount > sa.bindparam("most", type_=Uint256()))),
)
_LEAVING = aggregates.outgoing(payouts)


async def reserved(
    conn: AsyncConnection, wallet: str, asset: str, block_number: int | None = None, *, balance: int
) -> int:
    """Base units that are spoken for: every payout not settled, and those final after `block_number`.

    A balance read at a block does not know what left the wallet in later blocks, so these still count. One that waits for a person,
    or that Stripe contradicts, and that is more than the whole `balance`, takes nothing: it cannot be paid as things are, and would
    keep everybody else from buying until somebody has looked at it.
    """
    block = aggregates.NO_BLOCK if block_number is None else block_number
    return await aggregates.total(conn, _HELD, wallet=wallet, asset=asset, block=block, most=balance)


async def outgoing(conn: AsyncConnection, wallet: str, asset: str, block_number: int) -> int:
    """Base units that payouts with a nonce take out of a balance read at `block_number`."""
    return await aggregates.total(conn, _LEAVING, wallet=wallet, asset=asset, block=block_number)


async def count_by_status(conn: AsyncConnection) -> dict[str, int]:
    """How many are in each state, at the cost of those that are open."""
    return await ended(conn, "payouts") | await aggregates.count_open(conn, payouts)


async def _one(conn: AsyncConnection, condition: sa.ColumnElement[bool]) -> Payout | None:
    row = (await conn.execute(sa.select(payouts).where(condition))).first()
    return None if row is None else to_payout(row)
