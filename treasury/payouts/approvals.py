"""What persons decide about payouts, each in the caller's open transaction; refusals are Problems with stable codes.

`by` is the id of the key, `person` whose it is: two keys of one person are one person.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.pool.pool import Pool
from chain.reads.receipts import ExpectedTransfer, Proven, prove
from chain.types import Address
from kit.audit.actor import Actor
from kit.db.cas import compare_and_set
from kit.http.problems import Problem, not_found
from kit.persons import same_person
from treasury.core import history
from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.ledger import service as ledger_service
from treasury.ledger.states import Account
from treasury.payouts import service as payouts_service
from treasury.payouts.table import Payout, payouts
from treasury.transactions import queries
from treasury.transitions import MoveRefused

_FAILED = (Status.REVERTED, Status.REJECTED)


async def require(conn: AsyncConnection, payout_id: str) -> Payout:
    """One payout. Raises Problem `not_found`."""
    found = await payouts_service.get(conn, payout_id)
    if found is None:
        raise not_found("payout")
    return found


async def approve(conn: AsyncConnection, payout_id: str, actor: Actor, *, now: datetime, note: str = "") -> Payout:
    """A person lets a payout through that is above a limit of the policy, or whose recipient is listed. Raises Problem.

    The two are decided apart: who approved an amount has not cleared a recipient, nor the other way round.
    """
    payout = await require(conn, payout_id)
    if payout.status is Status.HELD and payout.reason == Reason.SCREENING:
        await _move(conn, payout, OperationFact.CLEARED, by=actor.id, now=now, note=note, cleared_by=actor.id)
        return await require(conn, payout_id)
    if payout.status is not Status.AWAITING_APPROVAL:
        raise _impossible(payout, "only one that awaits approval, or is held for screening, can be approved")
    await _move(
        conn,
        payout,
        OperationFact.APPROVED,
        by=actor.id,
        now=now,
        note=note,
        approved_by=actor.id,
        approved_person=actor.person,
    )
    return await require(conn, payout_id)


async def reject(conn: AsyncConnection, payout_id: str, actor: Actor, *, now: datetime, note: str = "") -> Payout:
    """A person says no before it has a nonce; the buyer is unpaid until `retry` or `settle`. Raises Problem."""
    payout = await require(conn, payout_id)
    # A nonce may leave the status as it was. Held by this row from here on, the sender gives it none any more.
    free = sa.and_(payouts.c.id == payout_id, payouts.c.transaction_id.is_(None))
    if not await compare_and_set(conn, payouts, free, list(Status), updated_at=now):
        raise _impossible(payout, "it has a nonce already and cannot be rejected any more")
    await _move(conn, payout, OperationFact.REJECTED, by=actor.id, now=now, note=note)
    return await require(conn, payout_id)


async def retry(
    conn: AsyncConnection,
    payout_id: str,
    actor: Actor,
    *,
    wallet: Address | None,
    now: datetime,
    note: str = "",
) -> Payout:
    """Another attempt at one that failed or was rejected: the first person asks, the second lets it happen.

    The sender still gives it no nonce before the chain has proved every earlier signature dead. `wallet` is the one that
    pays now: what another one signed for is not looked for in its past, so its payouts are settled. Raises Problem.
    """
    payout = await require(conn, payout_id)
    if payout.status not in _FAILED:
        raise _impossible(payout, "only one that was reverted or rejected can be tried again")
    if payout.wallet != wallet:
        raise _impossible(
            payout, f"it was owed by the hot wallet {payout.wallet}, which pays no more: pay it, and settle it"
        )
    if payout.retry_person is None:
        await compare_and_set(
            conn, payouts, payout_id, [payout.status], retry_by=actor.id, retry_person=actor.person, updated_at=now
        )
        said = "another attempt asked for; a second person has to ask for it too"
        await history.record(
            conn, payout_id, at=now, from_status=payout.status, to_status=payout.status, by=actor.id, note=note or said
        )
        return await require(conn, payout_id)
    if same_person(payout.retry_person, actor.person):
        raise Problem(409, "self_approval", "You asked for this attempt already; another person has to ask for it too.")
    fresh = dict.fromkeys(("transaction_id", "tx_hash", "block_number", "retry_by", "retry_person", "cleared_by"))
    approved = {"approved_by": actor.id, "approved_person": actor.person}
    await _move(conn, payout, OperationFact.RETRIED, by=actor.id, now=now, note=note, **fresh, **approved)
    return await require(conn, payout_id)


async def settle(
    conn: AsyncConnection,
    payout_id: str,
    actor: Actor,
    *,
    now: datetime,
    note: str = "",
    proven: Proven | None = None,
) -> Payout:
    """Close one that was made good elsewhere: `final` with a proof from the chain, `cancelled` with a person's word.

    `proven` is what `proof_elsewhere` answered; without it a note has to say how. Raises Problem.
    """
    payout = await require(conn, payout_id)
    if payout.status not in _FAILED:
        raise _impossible(payout, "only one that was reverted or rejected can be settled")
    if proven is None:
        if not note.strip():
            raise Problem(422, "validation_failed", "Say in a note how the buyer was made good, or give the txHash.")
        await _move(conn, payout, OperationFact.CLOSED, by=actor.id, now=now, note=note)
        return await require(conn, payout_id)
    moved = proven.transfer
    if (moved.token, moved.recipient, moved.amount) != (payout.token, payout.to, payout.amount):
        raise Problem(409, "not_settled", "That transfer is not this payout's token, recipient and amount.")
    # One transfer to a recipient is proved of a transaction, so it pays one payout; two who settle wait for each other here.
    theirs = sa.select(payouts).where(payouts.c.to_address == payout.to).order_by(payouts.c.id).with_for_update()
    paid = [other.id for other in await conn.execute(theirs) if other.tx_hash == moved.tx_hash]
    # A payout shows the first of its signatures until the chain has shown which of them was mined.
    for other in (await queries.operation_of(conn, moved.tx_hash), *paid):
        if other not in {None, payout_id}:
            raise Problem(409, "not_settled", f"That transfer is the payment of {other} already.")
    if moved.sender != payout.wallet:
        # Somebody else's coins: left out, they would look like coins that came back to the wallet, and explain a difference.
        await ledger_service.adjust(
            conn, payout.wallet, payout.asset, "top_up", Account.EXTERNAL_IN, Account.AVAILABLE, payout.amount,
            now=now, subject=payout_id, by=actor.id, note=moved.tx_hash,
        )  # fmt: skip
    said = f"made good by {moved.tx_hash}" + (f": {note}" if note else "")
    # Its block is not the wallet's: what the wallet holds does not change by it.
    await _move(
        conn, payout, OperationFact.SETTLED, by=actor.id, now=now, note=said, tx_hash=moved.tx_hash, block_number=None
    )
    return await require(conn, payout_id)


async def proof_elsewhere(pool: Pool, payout: Payout, tx_hash: str) -> Proven:
    """The agreed proof that `tx_hash` paid this buyer, from whatever address; no transaction may be open. Raises Problem."""
    verdict = await prove(pool, tx_hash, ExpectedTransfer(payout.token, payout.to, payout.amount))
    if isinstance(verdict, Proven):
        return verdict
    detail = getattr(verdict, "detail", "") or "the transaction failed"
    raise Problem(409, "not_settled", f"The chain does not prove that this transaction paid the buyer: {detail}.")


async def _move(
    conn: AsyncConnection, payout: Payout, fact: OperationFact, *, by: str, now: datetime, **values: Any
) -> None:
    try:
        await payouts_service.move(conn, payout.id, fact, by=by, now=now, **{"reason": None, **values})
    except MoveRefused as error:
        raise _impossible(payout, str(error)) from error


def _impossible(payout: Payout, why: str) -> Problem:
    return Problem(409, "not_possible", f"{payout.id} is {payout.status}: {why}.")
