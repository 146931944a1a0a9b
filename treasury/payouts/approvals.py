"""The decisions of persons about payouts, each in the caller's open transaction; refusals are Problems with stable codes."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import Address
from kit.audit.actor import Actor
from kit.db.cas import compare_and_set
from kit.http.problems import Problem, not_found
from kit.persons import same_person
from treasury.core import history
from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.payouts.table import payouts
from treasury.transitions import MoveRefused

FAILED = (Status.REVERTED, Status.REJECTED)
"""The statuses in which the buyer is unpaid, and persons decide what happens."""


async def require(conn: AsyncConnection, payout_id: str) -> Payout:
    """Return a payout by its id. Raises Problem `not_found` if there is none."""
    payout = await payouts_service.get(conn, payout_id)
    if payout is None:
        raise not_found("payout")
    return payout


async def approve(conn: AsyncConnection, payout_id: str, actor: Actor, *, now: datetime, note: str = "") -> Payout:
    """Let a payout through that is above a limit of the policy, or whose recipient is on the sanctions list. Raises Problem.

    These are two decisions: approving an amount does not clear a recipient, and clearing a recipient does not approve an amount.
    """
    payout = await require(conn, payout_id)
    if payout.status is Status.HELD and payout.reason == Reason.SCREENING:
        await move(conn, payout, OperationFact.CLEARED, by=actor.id, now=now, note=note, cleared_by=actor.id)
        return await require(conn, payout_id)
    if payout.status is not Status.AWAITING_APPROVAL:
        raise impossible(payout, "only a payout that awaits approval, or is held for screening, can be approved")
    approval = {"approved_by": actor.id, "approved_person": actor.person}
    await move(conn, payout, OperationFact.APPROVED, by=actor.id, now=now, note=note, **approval)
    return await require(conn, payout_id)


async def reject(conn: AsyncConnection, payout_id: str, actor: Actor, *, now: datetime, note: str = "") -> Payout:
    """Reject a payout that has no nonce; the buyer stays unpaid until `retry` or `settle`. Raises Problem."""
    payout = await require(conn, payout_id)
    # A nonce may leave the status as it was. This update locks the row, so the sender gives it no nonce from here on.
    without_nonce = sa.and_(payouts.c.id == payout_id, payouts.c.transaction_id.is_(None))
    if not await compare_and_set(conn, payouts, without_nonce, list(Status), updated_at=now):
        raise impossible(payout, "it has a nonce already and cannot be rejected any more")
    await move(conn, payout, OperationFact.REJECTED, by=actor.id, now=now, note=note)
    return await require(conn, payout_id)


async def retry(
    conn: AsyncConnection, payout_id: str, actor: Actor, *, wallet: Address | None, now: datetime, note: str = ""
) -> Payout:
    """Try a payout again that failed or was rejected: the first person proposes another attempt, a second person's command orders it. Raises Problem.

    The sender gives it no nonce before the chain has proved that every earlier signature is dead. `wallet` pays now; a payout that
    another hot wallet owed is settled instead, because what that one signed is not searched.
    """
    payout = await require(conn, payout_id)
    if payout.status not in FAILED:
        raise impossible(payout, "only a reverted or rejected payout can be tried again")
    if payout.wallet != wallet:
        raise impossible(
            payout, f"it is owed by the hot wallet {payout.wallet}, which pays no more: pay it, and settle it"
        )
    if payout.retry_person is None:
        proposal = {"retry_by": actor.id, "retry_person": actor.person}
        await compare_and_set(conn, payouts, payout_id, [payout.status], updated_at=now, **proposal)
        text = note or "another attempt proposed; a second person has to propose it too"
        await history.record(
            conn, payout_id, at=now, from_status=payout.status, to_status=payout.status, by=actor.id, note=text
        )
        return await require(conn, payout_id)
    if same_person(payout.retry_person, actor.person):
        raise Problem(409, "self_approval", "You proposed this attempt already; another person has to propose it too.")
    fresh = dict.fromkeys(("transaction_id", "tx_hash", "block_number", "retry_by", "retry_person", "cleared_by"))
    approval = {"approved_by": actor.id, "approved_person": actor.person}
    await move(conn, payout, OperationFact.RETRIED, by=actor.id, now=now, note=note, **fresh, **approval)
    return await require(conn, payout_id)


async def move(
    conn: AsyncConnection, payout: Payout, fact: OperationFact, *, by: str, now: datetime, **values: Any
) -> None:
    """Apply a decision to a payout and clear its reason to wait. Raises Problem if its state does not allow the decision."""
    try:
        await payouts_service.move(conn, payout.id, fact, by=by, now=now, **{"reason": None, **values})
    except MoveRefused as error:
        raise impossible(payout, str(error)) from error


def impossible(payout: Payout, why: str) -> Problem:
    """Return the Problem 409 that refuses a decision; `why` completes the sentence "<payout> is <status>: ..."."""
    return Problem(409, "not_possible", f"{payout.id} is {payout.status}: {why}.")
