"""Operations on sweeps, each in the caller's open transaction; refusals are Problems with stable codes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.abi.erc20 import reference_of
from chain.types import keccak
from kit.audit.actor import Actor
from kit.db.inserts import insert_or_ignore
from kit.db.paging import Position
from kit.http.problems import Problem, not_found
from kit.ids import Ids
from kit.state import Moved, Same
from treasury.core import aggregates, history
from treasury.core.aggregates import EVERYTHING, Filter
from treasury.core.assets import NATIVE
from treasury.core.facts import OperationFact
from treasury.core.history import BY
from treasury.core.hot_wallets import HotWallet
from treasury.core.status import IN_FLIGHT, Status
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import MOVES, RECHECKED, SweepKind
from treasury.sweeps.table import sweeps, to_sweep
from treasury.transactions.table import transactions
from treasury.transitions import transition

SCHEDULER = Actor("sweeper", "sweeper")
"""The actor that proposes sweeps on schedule. It is no person, so any person may approve them."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed sweep. An approval is bound to all of it except `decimals`."""

    asset: str
    token: str
    amount: int
    to: str
    policy_version: str
    safe_identity: str
    kind: SweepKind = SweepKind.SWEEP
    decimals: int = 18
    """The token's decimals, used only to show the amount; not part of the digest."""

    def digest(self) -> str:
        """Return a digest of the proposal, 0x and 64 hex digits. A panic takes the whole balance, so its amount is left out."""
        amount = "everything" if self.kind is SweepKind.PANIC else str(self.amount)
        parts = [self.kind, self.asset, self.token, amount, self.to, self.policy_version, self.safe_identity]
        return "0x" + keccak(orjson.dumps(parts)).hex()


def proposal_of(sweep: Sweep) -> Proposal:
    """Return the proposal that the sweep's row describes now."""
    return Proposal(
        sweep.asset, sweep.token, sweep.amount, sweep.to, sweep.policy_version, sweep.safe_identity, sweep.kind
    )


async def propose(
    conn: AsyncConnection,
    proposal: Proposal,
    wallet: HotWallet,
    actor: Actor,
    *,
    purpose: str,
    approval_needed: bool,
    expires_after: timedelta,
    now: datetime,
    ids: Ids,
    window: str | None = None,
) -> Sweep:
    """Create a sweep; it waits for another person's approval if the policy requires one. Raises Problem `already_active`.

    With `window`, a second proposal of the same policy version, asset and window returns the sweep of the first one.
    """
    row_id = ids.new("swp_")
    key = f"{wallet.key}:{proposal.asset}:{proposal.kind}"
    window_key = None if window is None else f"{proposal.policy_version}:{proposal.asset}:{window}"
    row = {
        "id": row_id,
        "kind": proposal.kind,
        **wallet.columns,
        "asset": proposal.asset,
        "token": proposal.token,
        "to_address": proposal.to,
        "amount": proposal.amount,
        "decimals": proposal.decimals,
        "reference": "0x" + reference_of(row_id).hex(),
        "status": Status.PLANNED,
        "purpose": purpose,
        "policy_version": proposal.policy_version,
        "safe_identity": proposal.safe_identity,
        "active_key": key,
        "window_key": window_key,
        "proposed_by": actor.id,
        "proposed_person": actor.person,
        "expires_at": now + expires_after,
        "created_at": now,
        "updated_at": now,
    }
    if not await insert_or_ignore(conn, sweeps, [row]):
        return await _same_window(conn, proposal, key, window_key)
    await history.record(conn, row_id, at=now, from_status=None, to_status=Status.PLANNED, by=actor.id, note=purpose)
    if approval_needed or proposal.kind is SweepKind.PANIC:
        await move(
            conn, row_id, OperationFact.APPROVAL_REQUIRED, now=now, by=actor.id, note="another person has to approve it"
        )
    else:
        approval = {"note": "the policy asks for no approval", "approval": proposal.digest()}
        await move(conn, row_id, OperationFact.APPROVED, now=now, by=actor.id, **approval)
    return await require(conn, row_id)


async def _same_window(conn: AsyncConnection, proposal: Proposal, key: str, window_key: str | None) -> Sweep:
    """Return the sweep that was proposed before in the same window. Raises Problem if another sweep is in the way."""
    existing = None if window_key is None else await _one(conn, sweeps.c.window_key == window_key)
    if existing is not None:
        return existing
    active = await _one(conn, sweeps.c.active_key == key)
    name = "another one" if active is None else f"{active.id} ({active.status})"
    raise Problem(409, "already_active", f"A {proposal.kind} of {proposal.asset} is under way already: {name}.")


async def cancel_lapsed(conn: AsyncConnection, *, now: datetime) -> list[str]:
    """Cancel sweeps that waited too long for an approval, or after it; return their ids."""
    c = sweeps.c
    waiting = c.status.in_([Status.AWAITING_APPROVAL, Status.APPROVED, Status.HELD])
    query = sa.select(c.id).where(waiting, c.transaction_id.is_(None), c.expires_at <= now)
    lapsed = list((await conn.execute(query)).scalars())
    for sweep_id in lapsed:
        await cancel(conn, sweep_id, now=now, note="it waited longer than approval_expires_hours")
    return lapsed


async def cancel(conn: AsyncConnection, sweep_id: str, *, now: datetime, note: str) -> None:
    """Cancel a sweep that is no longer wanted. Raises MoveRefused if it is signed."""
    await move(conn, sweep_id, OperationFact.LAPSED, now=now, note=note, active_key=None, reason=None)


async def move(
    conn: AsyncConnection,
    sweep_id: str,
    fact: OperationFact | str,
    *,
    now: datetime,
    by: str = BY,
    note: str = "",
    **values: Any,
) -> Moved[Status] | Same[Status]:
    """Apply a fact to a sweep; once the sweep has ended, its asset may be swept again. Raises MoveRefused."""
    if fact in {OperationFact.PROVEN, OperationFact.REVERTED}:
        values["active_key"] = None
    return await transition(conn, sweeps, MOVES, sweep_id, fact, now=now, by=by, note=note, **values)


async def require(conn: AsyncConnection, sweep_id: str) -> Sweep:
    """Return a sweep by its id. Raises Problem `not_found` if there is none."""
    sweep = await get(conn, sweep_id)
    if sweep is None:
        raise not_found("sweep")
    return sweep


async def get(conn: AsyncConnection, sweep_id: str) -> Sweep | None:
    """Return a sweep by its id; None if there is none."""
    return await _one(conn, sweeps.c.id == sweep_id)


async def by_reference(conn: AsyncConnection, reference: str) -> Sweep | None:
    """Return the sweep whose id hashes to `reference` (0x and 64 hex digits); None if there is none."""
    return await _one(conn, sweeps.c.reference == reference)


async def page(
    conn: AsyncConnection, *, limit: int = 50, chosen: Filter = EVERYTHING, before: Position | None = None
) -> list[Sweep]:
    """Return up to `limit` sweeps, newest first: those that `chosen` selects, with `before` those after that position of the list."""
    rows = await conn.execute(aggregates.newest(sweeps, limit, chosen, before))
    return [to_sweep(row) for row in rows.fetchall()]


# Built once: the sender reads these in each cycle, and building a statement takes longer than running it.
_OF_KIND = sa.select(sweeps).where(sweeps.c.wallet == sa.bindparam("wallet"), sweeps.c.kind == sa.bindparam("kind"))
_ACTIVE = _OF_KIND.where(sweeps.c.active_key.is_not(None)).order_by(sweeps.c.created_at, sweeps.c.id)
_QUEUE = _OF_KIND.where(
    sweeps.c.transaction_id.is_(None),
    sa.or_(
        sweeps.c.status == Status.APPROVED,
        sa.and_(sweeps.c.status == Status.HELD, sweeps.c.reason.in_(list(RECHECKED))),
    ),
).order_by(sa.case((sweeps.c.token == NATIVE, 1), else_=0), sweeps.c.updated_at, sweeps.c.id)


async def queue(conn: AsyncConnection, wallet: str, kind: SweepKind) -> list[Sweep]:
    """Return the sweeps of `kind` that wait for a nonce: tokens before the gas token, which pays for their transfers.

    Within each group the least recently changed comes first, so a sweep whose nonce was released goes to the end.
    """
    return [to_sweep(row) for row in (await conn.execute(_QUEUE, {"wallet": wallet, "kind": kind})).fetchall()]


async def active(conn: AsyncConnection, wallet: str, kind: SweepKind) -> list[Sweep]:
    """Return the wallet's sweeps of `kind` that may still move money, oldest first."""
    rows = await conn.execute(_ACTIVE, {"wallet": wallet, "kind": kind})
    return [to_sweep(row) for row in rows.fetchall()]


async def awaiting_approval(conn: AsyncConnection, limit: int) -> list[Sweep]:
    """Return up to `limit` sweeps of every kind that wait for a second person, the oldest first."""
    query = sa.select(sweeps).where(sweeps.c.status == Status.AWAITING_APPROVAL)
    rows = await conn.execute(query.order_by(sweeps.c.created_at, sweeps.c.id).limit(limit))
    return [to_sweep(row) for row in rows]


async def any_arrived(conn: AsyncConnection, chain_id: int, to: str) -> bool:
    """Return whether a sweep to this Safe is final. The first sweep to a new Safe is a small one."""
    c = sweeps.c
    query = sa.select(sa.literal(1)).where(c.chain_id == chain_id, c.to_address == to, c.status == Status.FINAL)
    return (await conn.execute(query.limit(1))).first() is not None


_SWEPT = aggregates.total_of(
    aggregates.of_asset(sweeps)
    .outerjoin(transactions, transactions.c.id == sweeps.c.transaction_id)
    .where(
        sweeps.c.status.not_in([Status.REJECTED, Status.CANCELLED, Status.REVERTED]),
        sweeps.c.kind == SweepKind.SWEEP,
        sa.or_(transactions.c.created_at.is_(None), transactions.c.created_at >= sa.bindparam("since")),
    )
)
RESERVED: Final = aggregates.reserved(sweeps, [Status.APPROVED, Status.HELD, *IN_FLIGHT])
"""The queries of the amounts that `reserved` adds up."""
_RESERVED = aggregates.total_of(*RESERVED)
_OUTGOING = aggregates.outgoing(sweeps)


async def swept_since(conn: AsyncConnection, wallet: str, asset: str, since: datetime) -> int:
    """Return the sum, in base units, of the sweeps of an asset that got a nonce since `since` or wait for one, without panics."""
    return await aggregates.total(conn, _SWEPT, wallet=wallet, asset=asset, since=since)


async def reserved(conn: AsyncConnection, wallet: str, asset: str, block_number: int | None = None) -> int:
    """Return the sum, in base units, of the sweeps that are approved, held or signed, and of those that left in blocks after `block_number`."""
    block = aggregates.NO_BLOCK if block_number is None else block_number
    return await aggregates.total(conn, _RESERVED, wallet=wallet, asset=asset, block=block)


async def outgoing(conn: AsyncConnection, wallet: str, asset: str, block_number: int) -> int:
    """Return the sum, in base units, that sweeps with a nonce take out of a balance read at `block_number`, those that left in later blocks included."""
    return await aggregates.total(conn, _OUTGOING, wallet=wallet, asset=asset, block=block_number)


async def count_by_status(conn: AsyncConnection) -> dict[str, int]:
    """Return how many sweeps are in each status."""
    return await aggregates.count_by_status(conn, sweeps)


async def _one(conn: AsyncConnection, condition: sa.ColumnElement[bool]) -> Sweep | None:
    row = (await conn.execute(sa.select(sweeps).where(condition))).first()
    return None if row is None else to_sweep(row)
