"""The verbs of settlements, each in the caller's open transaction; refusals are Problems with stable codes.

USDC that the chain of USDC shows counts at once. Anything else is one person's claim until an approver, another person,
makes the same claim: whoever diverts USDC must not be able to hide it with one key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.reads.arrivals import Arrival, Arrived, Contradicted
from kit.db.cas import compare_and_set
from kit.db.inserts import insert_or_ignore
from kit.http.problems import Problem, not_found
from kit.ids import Ids
from kit.money import format_units
from kit.persons import same_person
from treasury.core.assets import USDC_DECIMALS
from treasury.ledger import usdc
from treasury.settlements.queries import of_transaction, require
from treasury.settlements.table import Settlement, State, settlements

_TAKEN: Final = "Others decided on this in the same moment; look at it again."


@dataclass(frozen=True, slots=True)
class Caller:
    """Who orders: the key, its person, and whether its role may approve."""

    id: str
    person: str
    may_approve: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A transaction brought USDC: of one session, or so much (base units) for the oldest ones."""

    tx_hash: str
    session_id: str | None
    amount: int | None
    note: str = ""

    @property
    def key(self) -> str:
        """One claim of it may be open."""
        return f"{self.tx_hash}:{self.session_id or ''}"


async def settle(
    conn: AsyncConnection,
    claim: Claim,
    seen: Arrival | None,
    *,
    wallets: Sequence[str],
    caller: Caller,
    now: datetime,
    ids: Ids,
) -> Settlement | None:
    """Settle what the chain shows (`seen`); without that propose it, or confirm what another person proposed.

    The same claim again answers what it settled; None: it was settled before such rows were kept. Raises Problem.
    """
    await usdc.lock(conn, wallets)
    rows = await of_transaction(conn, claim.tx_hash)
    mine = next((row for row in rows if row.session_id == claim.session_id), None)
    if mine is not None:
        if claim.amount not in {None, mine.amount}:
            said = format_units(mine.amount, USDC_DECIMALS)
            raise _not_possible(
                f"{mine.id} says that this transaction brought {said} USDC; reject or reverse it first."
            )
        if mine.status is not State.AWAITING:
            return mine
    _refuse_contradicted(claim.tx_hash, seen)
    found = seen if isinstance(seen, Arrived) else None
    if mine is None:
        return await _first(conn, claim, found, seen, rows, wallets=wallets, caller=caller, now=now, ids=ids)
    if found is None:
        if same_person(mine.asked_person, caller.person):
            raise Problem(409, "self_approval", "You said this already; another person has to say so, too.")
        _require_approver(caller)
    await _require_brought(conn, found, mine.amount, claim.tx_hash, wallets)
    changes: dict[str, Any] = {
        "approved_by": caller.id,
        "verified": found is not None,
        "evidence": _evidence(seen),
        "updated_at": now,
    }
    if not await compare_and_set(conn, settlements, mine.id, [State.AWAITING], status=State.SETTLED, **changes):
        raise _not_possible(_TAKEN)
    await _clear(conn, mine, wallets, by=caller.id, now=now, shared=len(rows) > 1)
    return await require(conn, mine.id)


async def _first(
    conn: AsyncConnection,
    claim: Claim,
    found: Arrived | None,
    seen: Arrival | None,
    rows: Sequence[Settlement],
    *,
    wallets: Sequence[str],
    caller: Caller,
    now: datetime,
    ids: Ids,
) -> Settlement | None:
    """A claim that nobody has made yet."""
    before = await usdc.cleared(conn, wallets, claim.tx_hash)
    if not rows and before and claim.session_id in {None, *(row.subject for row in before)}:
        return None
    shared = bool(rows or before)
    # Only the chain knows how much there is to share, and only sessions say which part is meant.
    apart = found is not None and claim.session_id is not None and all(row.session_id for row in rows)
    if shared and not apart:
        raise _not_possible("That transaction cleared other sessions already; nothing was posted.")
    waiting = await usdc.receivable(conn, wallets)
    if claim.session_id is not None:
        waiting = [one for one in waiting if one.session_id == claim.session_id]
    total = sum(one.amount for one in waiting)
    amount = total if claim.amount is None else claim.amount
    if not 0 < amount <= total:
        raise Problem(409, "insufficient_available", "Less USDC than that is receivable; nothing was posted.")
    await _require_brought(conn, found, amount, claim.tx_hash, wallets)
    row: dict[str, Any] = {
        "id": ids.new("stl_"),
        "tx_hash": claim.tx_hash,
        "session_id": claim.session_id,
        "amount": amount,
        "status": State.AWAITING if found is None else State.SETTLED,
        "open_claim": claim.key,
        "verified": found is not None,
        "evidence": _evidence(seen),
        "asked_by": caller.id,
        "asked_person": caller.person,
        "note": claim.note,
        "created_at": now,
        "updated_at": now,
    }
    if not await insert_or_ignore(conn, settlements, [row], ["open_claim"]):
        raise _not_possible("Others claimed this transaction in the same moment; look at it again.")
    made = await require(conn, row["id"])
    if made.status is State.SETTLED:
        await _clear(conn, made, wallets, by=caller.id, now=now, shared=shared)
    return made


async def reverse(
    conn: AsyncConnection, row_id: str, *, wallets: Sequence[str], caller: Caller, note: str, now: datetime, ids: Ids
) -> Settlement:
    """Ask that a settlement be taken back (by its id or its transaction's hash); the second person's word does it.

    Then counter-entries stand in the ledger and the USDC is receivable again. Raises Problem.
    """
    await usdc.lock(conn, wallets)
    row = await _to_reverse(conn, row_id, wallets, now, ids)
    if row.status is State.SETTLED:
        asked: dict[str, Any] = {"reversal_by": caller.id, "reversal_person": caller.person, "updated_at": now}
        said = _joined(row.note, note)
        if not await compare_and_set(
            conn, settlements, row.id, [State.SETTLED], status=State.REVERSING, note=said, **asked
        ):
            raise _not_possible(_TAKEN)
        return await require(conn, row.id)
    if row.status is not State.REVERSING:
        raise _not_possible(f"{row.id} is {row.status}; only what is settled can be taken back.")
    if same_person(row.reversal_person or "", caller.person):
        raise Problem(409, "self_approval", "You asked for this already; another person has to say so, too.")
    _require_approver(caller)
    done: dict[str, Any] = {
        "reversed_by": caller.id,
        "open_claim": None,
        "note": _joined(row.note, note),
        "updated_at": now,
    }
    if not await compare_and_set(conn, settlements, row.id, [State.REVERSING], status=State.REVERSED, **done):
        raise _not_possible(_TAKEN)
    await usdc.reverse(conn, wallets=wallets, tx_hash=row.tx_hash, session_id=row.session_id, by=caller.id, now=now)
    return await require(conn, row.id)


async def reject(conn: AsyncConnection, row_id: str, *, caller: Caller, note: str, now: datetime) -> Settlement:
    """Say no to what waits for a second person: an approver may, and whoever proposed it. Raises Problem."""
    row = await require(conn, row_id)
    if row.status not in {State.AWAITING, State.REVERSING}:
        raise _not_possible(f"{row.id} is {row.status}; only what waits for a second person can be rejected.")
    proposer = row.asked_person if row.status is State.AWAITING else row.reversal_person
    if not same_person(proposer or "", caller.person):
        _require_approver(caller)
    changes: dict[str, Any] = {"note": _joined(row.note, note), "updated_at": now}
    if row.status is State.AWAITING:
        changes |= {"status": State.REJECTED, "open_claim": None}
    else:
        changes |= {"status": State.SETTLED, "reversal_by": None, "reversal_person": None}
    if not await compare_and_set(conn, settlements, row.id, [row.status], **changes):
        raise _not_possible(_TAKEN)
    return await require(conn, row.id)


async def _to_reverse(
    conn: AsyncConnection, row_id: str, wallets: Sequence[str], now: datetime, ids: Ids
) -> Settlement:
    if not row_id.startswith("0x"):
        return await require(conn, row_id)
    rows = [row for row in await of_transaction(conn, row_id) if row.counts]
    if len(rows) > 1:
        raise _not_possible(f"That transaction settled several sessions; name one of {', '.join(r.id for r in rows)}.")
    if rows:
        return rows[0]
    before = await usdc.cleared(conn, wallets, row_id)
    if not before:
        raise not_found("settlement")
    # Settled before such rows were kept: one is made, so that it can be taken back as any other.
    row = {
        "id": ids.new("stl_"),
        "tx_hash": row_id,
        "session_id": None,
        "amount": sum(one.amount for one in before),
        "status": State.SETTLED,
        "open_claim": f"{row_id}:",
        "verified": False,
        "asked_by": before[0].by,
        "asked_person": "",
        "note": "",
        "created_at": before[0].at,
        "updated_at": now,
    }
    await insert_or_ignore(conn, settlements, [row], ["open_claim"])
    return next(row for row in await of_transaction(conn, row_id) if row.counts)


async def _clear(
    conn: AsyncConnection, row: Settlement, wallets: Sequence[str], *, by: str, now: datetime, shared: bool
) -> None:
    await usdc.settle(
        conn,
        wallets=wallets,
        tx_hash=row.tx_hash,
        by=by,
        now=now,
        session_id=row.session_id,
        amount=row.amount,
        shared=shared,
    )


async def _require_brought(
    conn: AsyncConnection, found: Arrived | None, amount: int, tx_hash: str, wallets: Sequence[str]
) -> None:
    if found is None:
        return
    spent = sum(row.amount for row in await usdc.cleared(conn, wallets, tx_hash))
    if amount > found.amount - spent:
        brought, used, asked = (format_units(one, USDC_DECIMALS) for one in (found.amount, spent, amount))
        raise _not_possible(
            f"The transaction brought {brought} USDC, {used} of it cleared others already; {asked} cannot be cleared with it."
        )


def _refuse_contradicted(tx_hash: str, seen: Arrival | None) -> None:
    if isinstance(seen, Contradicted):
        raise _not_possible(f"The chain says otherwise of {tx_hash}: {seen.detail}. Nothing was posted.")


def _require_approver(caller: Caller) -> None:
    if not caller.may_approve:
        raise Problem(403, "forbidden", "The second person has to be an approver; nothing was changed.")


def _evidence(seen: Arrival | None) -> str:
    if seen is None:
        return "no node of its chain is configured"
    if isinstance(seen, Arrived):
        return (
            f"{format_units(seen.amount, USDC_DECIMALS)} USDC in block {seen.block.number}, {', '.join(seen.agreed_by)}"
        )
    return seen.detail


def _joined(note: str, more: str) -> str:
    return "; ".join(dict.fromkeys(part for part in (note, more) if part))


def _not_possible(detail: str) -> Problem:
    return Problem(409, "not_possible", detail)
