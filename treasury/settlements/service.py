"""Operations on settlements of USDC, each in the caller's open transaction; refusals are Problems with stable codes.

A claim that the chain of USDC shows counts at once. Any other claim waits until an approver, another person, makes it too: somebody who
diverts USDC must not be able to hide it with one key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.reads.arrivals import Arrival, Arrived, Contradicted
from kit.audit.actor import Actor
from kit.db.cas import compare_and_set
from kit.db.inserts import insert_or_ignore
from kit.http.problems import Problem, not_found
from kit.ids import Ids
from kit.money import format_units
from kit.persons import same_person
from kit.state import Refused, decide
from treasury.core.assets import USDC_DECIMALS
from treasury.ledger import usdc
from treasury.settlements.model import Settlement
from treasury.settlements.queries import of_transaction, require
from treasury.settlements.states import MOVES, SettlementFact, SettlementStatus
from treasury.settlements.table import settlements


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that a transaction brought the USDC of one session, or of the oldest ones.

    `amount` is in base units; None stands for all that is receivable.
    """

    tx_hash: str
    session_id: str | None
    amount: int | None
    note: str = ""

    @property
    def key(self) -> str:
        """The key that only one open claim may have at a time."""
        return f"{self.tx_hash}:{self.session_id or ''}"


async def settle(
    conn: AsyncConnection,
    claim: Claim,
    arrival: Arrival | None,
    actor: Actor,
    *,
    may_approve: bool,
    wallets: Sequence[str],
    now: datetime,
    ids: Ids,
) -> Settlement | None:
    """Settle a claim that the chain shows; otherwise record it, or confirm the claim of another person.

    `arrival` is what the chain of USDC shows, None if no node of it is configured. A repeated claim returns what it settled, and None if
    it was settled before settlements had rows. Raises Problem.
    """
    await usdc.lock(conn, wallets)
    rows = await of_transaction(conn, claim.tx_hash)
    same_claim = next((row for row in rows if row.session_id == claim.session_id), None)
    if same_claim is not None:
        if claim.amount not in {None, same_claim.amount}:
            claimed = format_units(same_claim.amount, USDC_DECIMALS)
            raise _not_possible(
                f"{same_claim.id} says that this transaction brought {claimed} USDC; reject or reverse it first."
            )
        if same_claim.status is not SettlementStatus.AWAITING:
            return same_claim
    _refuse_contradicted(claim.tx_hash, arrival)
    if same_claim is None:
        return await _settle_first(conn, claim, arrival, actor, rows, wallets=wallets, now=now, ids=ids)
    arrived = arrival if isinstance(arrival, Arrived) else None
    if arrived is None:
        if same_person(same_claim.asked_person, actor.person):
            raise Problem(409, "self_approval", "You claimed this already; another person has to claim it too.")
        _require_approver(may_approve=may_approve)
    await _require_brought(conn, arrived, same_claim.amount, claim.tx_hash, wallets)
    evidence = {"approved_by": actor.id, "verified": arrived is not None, "evidence": _evidence(arrival)}
    settlement = await _move(conn, same_claim, SettlementFact.CONFIRMED, now=now, **evidence)
    await _clear(conn, same_claim, wallets, by=actor.id, now=now, shared=len(rows) > 1)
    return settlement


async def _settle_first(
    conn: AsyncConnection,
    claim: Claim,
    arrival: Arrival | None,
    actor: Actor,
    rows: Sequence[Settlement],
    *,
    wallets: Sequence[str],
    now: datetime,
    ids: Ids,
) -> Settlement | None:
    """Record a claim that no row makes yet; `rows` are the other claims of its transaction."""
    arrived = arrival if isinstance(arrival, Arrived) else None
    cleared = await usdc.cleared(conn, wallets, claim.tx_hash)
    if not rows and cleared and claim.session_id in {None, *(posting.subject for posting in cleared)}:
        return None
    shared = bool(rows or cleared)
    # Only the chain knows how much there is to share, and only session ids say which part is meant.
    may_share = arrived is not None and claim.session_id is not None and all(row.session_id for row in rows)
    if shared and not may_share:
        raise _not_possible("That transaction cleared other sessions already; nothing was posted.")
    amount = await _claimed_amount(conn, claim, wallets)
    await _require_brought(conn, arrived, amount, claim.tx_hash, wallets)
    row: dict[str, Any] = {
        "id": ids.new("stl_"),
        "tx_hash": claim.tx_hash,
        "session_id": claim.session_id,
        "amount": amount,
        "status": SettlementStatus.AWAITING if arrived is None else SettlementStatus.SETTLED,
        "open_claim": claim.key,
        "verified": arrived is not None,
        "evidence": _evidence(arrival),
        "asked_by": actor.id,
        "asked_person": actor.person,
        "note": claim.note,
        "created_at": now,
        "updated_at": now,
    }
    if not await insert_or_ignore(conn, settlements, [row], ["open_claim"]):
        raise _not_possible("Someone else has just claimed this transaction. Reload it and try again.")
    settlement = await require(conn, row["id"])
    if settlement.status is SettlementStatus.SETTLED:
        await _clear(conn, settlement, wallets, by=actor.id, now=now, shared=shared)
    return settlement


async def _claimed_amount(conn: AsyncConnection, claim: Claim, wallets: Sequence[str]) -> int:
    """Return the base units that the claim would clear. Raises Problem if less is receivable."""
    receivables = await usdc.receivable(conn, wallets)
    if claim.session_id is not None:
        receivables = [row for row in receivables if row.session_id == claim.session_id]
    total = sum(row.amount for row in receivables)
    amount = total if claim.amount is None else claim.amount
    if not 0 < amount <= total:
        raise Problem(409, "insufficient_available", "Less USDC than that is receivable; nothing was posted.")
    return amount


async def reverse(
    conn: AsyncConnection,
    settlement_id: str,
    actor: Actor,
    *,
    may_approve: bool,
    wallets: Sequence[str],
    note: str,
    now: datetime,
    ids: Ids,
) -> Settlement:
    """Propose to reverse a settlement, given by its id or its transaction's hash; a second person's proposal reverses it.

    Counter-entries are then posted and the USDC is receivable again. Raises Problem.
    """
    await usdc.lock(conn, wallets)
    row = await _to_reverse(conn, settlement_id, wallets, now, ids)
    notes = _joined(row.note, note)
    if row.status is SettlementStatus.SETTLED:
        proposer = {"reversal_by": actor.id, "reversal_person": actor.person}
        return await _move(conn, row, SettlementFact.REVERSAL_PROPOSED, now=now, note=notes, **proposer)
    if row.status is not SettlementStatus.REVERSING:
        raise _not_possible(f"{row.id} is {row.status}; only a settled one can be reversed.")
    if same_person(row.reversal_person or "", actor.person):
        raise Problem(409, "self_approval", "You proposed this reversal already; another person has to propose it too.")
    _require_approver(may_approve=may_approve)
    settlement = await _move(
        conn, row, SettlementFact.REVERSED, now=now, note=notes, reversed_by=actor.id, open_claim=None
    )
    await usdc.reverse(conn, wallets=wallets, tx_hash=row.tx_hash, session_id=row.session_id, by=actor.id, now=now)
    return settlement


async def reject(
    conn: AsyncConnection, settlement_id: str, actor: Actor, *, may_approve: bool, note: str, now: datetime
) -> Settlement:
    """Reject a claim or a reversal that waits for a second person: approvers may, and the person who proposed it. Raises Problem."""
    row = await require(conn, settlement_id)
    if row.status not in {SettlementStatus.AWAITING, SettlementStatus.REVERSING}:
        raise _not_possible(f"{row.id} is {row.status}; only what waits for a second person can be rejected.")
    is_claim = row.status is SettlementStatus.AWAITING
    proposer = row.asked_person if is_claim else row.reversal_person
    if not same_person(proposer or "", actor.person):
        _require_approver(may_approve=may_approve)
    notes = _joined(row.note, note)
    if is_claim:
        return await _move(conn, row, SettlementFact.REJECTED, now=now, note=notes, open_claim=None)
    withdrawn = {"reversal_by": None, "reversal_person": None}
    return await _move(conn, row, SettlementFact.REVERSAL_REJECTED, now=now, note=notes, **withdrawn)


async def _to_reverse(
    conn: AsyncConnection, settlement_id: str, wallets: Sequence[str], now: datetime, ids: Ids
) -> Settlement:
    if not settlement_id.startswith("0x"):
        return await require(conn, settlement_id)
    tx_hash = settlement_id
    rows = [row for row in await of_transaction(conn, tx_hash) if row.counts]
    if len(rows) > 1:
        names = ", ".join(row.id for row in rows)
        raise _not_possible(f"That transaction settled several sessions; name one of {names}.")
    if rows:
        return rows[0]
    cleared = await usdc.cleared(conn, wallets, tx_hash)
    if not cleared:
        raise not_found("settlement")
    # It was settled before settlements had rows: give it one, so that it can be reversed like any other.
    row = {
        "id": ids.new("stl_"),
        "tx_hash": tx_hash,
        "session_id": None,
        "amount": sum(posting.amount for posting in cleared),
        "status": SettlementStatus.SETTLED,
        "open_claim": f"{tx_hash}:",
        "verified": False,
        "asked_by": cleared[0].actor,
        "asked_person": "",
        "note": "",
        "created_at": cleared[0].at,
        "updated_at": now,
    }
    await insert_or_ignore(conn, settlements, [row], ["open_claim"])
    return next(row for row in await of_transaction(conn, tx_hash) if row.counts)


async def _move(
    conn: AsyncConnection, row: Settlement, fact: SettlementFact, *, now: datetime, **values: Any
) -> Settlement:
    decision = decide(MOVES, row.status, fact)
    if isinstance(decision, Refused):
        raise _not_possible(f"{row.id}: {decision.reason}.")
    changes = {"status": decision.to, "updated_at": now, **values}
    if not await compare_and_set(conn, settlements, row.id, [row.status], **changes):
        raise _not_possible(f"Someone else has just changed {row.id}. Reload it and try again.")
    return await require(conn, row.id)


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
    conn: AsyncConnection, arrived: Arrived | None, amount: int, tx_hash: str, wallets: Sequence[str]
) -> None:
    """Raise Problem if the transaction brought less than it would have cleared with `amount` more."""
    if arrived is None:
        return
    spent = sum(posting.amount for posting in await usdc.cleared(conn, wallets, tx_hash))
    if amount > arrived.amount - spent:
        brought, used, claimed = (format_units(units, USDC_DECIMALS) for units in (arrived.amount, spent, amount))
        raise _not_possible(
            f"The transaction brought {brought} USDC and {used} of it cleared other sessions already, so it cannot clear {claimed}."
        )


def _refuse_contradicted(tx_hash: str, arrival: Arrival | None) -> None:
    if isinstance(arrival, Contradicted):
        raise _not_possible(f"The chain contradicts this claim about {tx_hash}: {arrival.detail}. Nothing was posted.")


def _require_approver(*, may_approve: bool) -> None:
    if not may_approve:
        raise Problem(403, "forbidden", "The second person has to be an approver; nothing was changed.")


def _evidence(arrival: Arrival | None) -> str:
    if arrival is None:
        return "no node of its chain is configured"
    if isinstance(arrival, Arrived):
        amount = format_units(arrival.amount, USDC_DECIMALS)
        return f"{amount} USDC in block {arrival.block.number}, {', '.join(arrival.agreed_by)}"
    return arrival.detail


def _joined(note: str, more: str) -> str:
    return "; ".join(dict.fromkeys(part for part in (note, more) if part))


def _not_possible(detail: str) -> Problem:
    return Problem(409, "not_possible", detail)
