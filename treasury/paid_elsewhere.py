"""Close a payout that failed or was rejected, and whose buyer was paid in another way."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.pool.pool import Pool
from chain.reads.transfer_proof import ExpectedTransfer, Proven, prove
from kit.audit.actor import Actor
from kit.http.problems import Problem
from treasury.core.facts import OperationFact
from treasury.ledger import service as ledger_service
from treasury.ledger.model import Movement
from treasury.ledger.states import Account
from treasury.payouts import approvals
from treasury.payouts.model import Payout
from treasury.payouts.table import payouts
from treasury.transactions import queries


async def prove_payment(pool: Pool, payout: Payout, tx_hash: str) -> Proven:
    """Return the agreed proof that `tx_hash` paid the payout's buyer, from any address. Raises Problem if it is not proved.

    No database transaction may be open, because nodes are asked.
    """
    verdict = await prove(pool, tx_hash, ExpectedTransfer(payout.token, payout.to, payout.amount))
    if isinstance(verdict, Proven):
        return verdict
    detail = getattr(verdict, "detail", "") or "the transaction failed"
    raise Problem(409, "not_settled", f"The chain does not prove that this transaction paid the buyer: {detail}.")


async def settle(
    conn: AsyncConnection,
    payout_id: str,
    actor: Actor,
    *,
    now: datetime,
    note: str = "",
    proven: Proven | None = None,
) -> Payout:
    """Close a payout: it becomes `final` with the proof of another transfer, `cancelled` with a person's note alone.

    `proven` is the result of `prove_payment`; without it `note` has to say how the buyer was paid. Raises Problem.
    """
    payout = await approvals.require(conn, payout_id)
    if payout.status not in approvals.FAILED:
        raise approvals.impossible(payout, "only a reverted or rejected payout can be settled")
    if proven is None:
        if not note.strip():
            raise Problem(422, "validation_failed", "Say in a note how the buyer was paid, or give the txHash.")
        await approvals.move(conn, payout, OperationFact.CLOSED, by=actor.id, now=now, note=note)
        return await approvals.require(conn, payout_id)
    transfer = proven.transfer
    if (transfer.token, transfer.recipient, transfer.amount) != (payout.token, payout.to, payout.amount):
        raise Problem(409, "not_settled", "That transfer has another token, recipient or amount than this payout.")
    await _require_unused(conn, payout, transfer.tx_hash)
    if transfer.sender != payout.wallet:
        # The coins were not the hot wallet's. Without this posting they would look like coins that came back to it, and explain a
        # difference.
        await ledger_service.adjust(
            conn,
            Movement(
                wallet=payout.wallet,
                asset=payout.asset,
                kind="top_up",
                subject=payout_id,
                source=Account.EXTERNAL_IN,
                target=Account.AVAILABLE,
                amount=payout.amount,
                at=now,
                by=actor.id,
                note=transfer.tx_hash,
            ),
        )
    text = f"made good by {transfer.tx_hash}" + (f": {note}" if note else "")
    # Without a block number: that block changed nothing in the hot wallet.
    values = {"tx_hash": transfer.tx_hash, "block_number": None}
    await approvals.move(conn, payout, OperationFact.SETTLED, by=actor.id, now=now, note=text, **values)
    return await approvals.require(conn, payout_id)


async def _require_unused(conn: AsyncConnection, payout: Payout, tx_hash: str) -> None:
    """Raise Problem if the transfer is the payment of another payout.

    A transaction is proved to make one transfer to a recipient, so it pays one payout. Locking all payouts to the recipient makes two
    persons who settle at once wait for each other.
    """
    same_recipient = sa.select(payouts).where(payouts.c.to_address == payout.to).order_by(payouts.c.id)
    rows = await conn.execute(same_recipient.with_for_update())
    paid = [row.id for row in rows if row.tx_hash == tx_hash]
    # A payout shows the first of its signatures until the chain has shown which of them was mined.
    for other in (await queries.operation_of(conn, tx_hash), *paid):
        if other not in {None, payout.id}:
            raise Problem(409, "not_settled", f"That transfer is the payment of {other} already.")
