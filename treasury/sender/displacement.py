"""Give up a transaction of ours whose nonce another one used."""

from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import IN_FLIGHT
from treasury.sender import operations
from treasury.sender.context import SenderContext, log
from treasury.sender.operations import kind_of
from treasury.transactions import queries
from treasury.transactions import service as transactions_service
from treasury.transactions.states import TransactionFact


async def displace(context: SenderContext, conn: AsyncConnection, nonce: int, by_hash: str) -> None:
    """Record that our transaction in flight at this nonce can never be mined, so its buyers are unpaid. If there is none, do nothing."""
    now = context.clock.now()
    holder = await queries.by_nonce(conn, context.hot_wallet, nonce)
    if holder is None or holder.status not in IN_FLIGHT:
        return
    note = f"nonce {nonce} was taken by {by_hash}"
    await transactions_service.move(conn, holder.id, TransactionFact.DISPLACED, now=now, note=note, nonce=None)
    fact, reason = OperationFact.REVERTED, Reason.DISPLACED
    await operations.move_carried(context, conn, holder, fact, now=now, note=note, reason=reason)
    for operation_id, ids in operations.subjects_of(holder):
        if kind_of(operation_id) == "nothing":
            # Its nonce is spent, and that is all that an empty transfer was for. A person repeats a deployment or an approval.
            log.warning("treasury.empty_transfer_displaced", **ids, nonce=nonce, tx_hash=by_hash)
        else:
            alarm = f"{kind_of(operation_id)}_displaced"
            await context.alarms.raise_in(conn, alarm, operation_id, now, **ids, nonce=nonce, tx_hash=by_hash)
