"""What one transaction brought of a token to an address, on the word of enough nodes and deep enough in the chain.

Unlike `chain.reads.receipts`, which proves one exact transfer, this adds up: a transaction may carry several transfers, and what
leaves the address in the same transaction is taken off, so that a transfer to oneself brings nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass

from chain.errors import NoAgreement
from chain.pool.pool import Pool
from chain.reads.receipts import agreed_receipt, transfers_of
from chain.types import Address, BlockRef, to_checksum


@dataclass(frozen=True, slots=True)
class Arrived:
    """`amount` base units came in, in `block`; `confirmations` counts that block as the first."""

    amount: int
    block: BlockRef
    confirmations: int
    agreed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unseen:
    """Nothing can be said now: no node knows the transaction, too few answer, or it is not deep enough; `detail` says which.

    `unknown`: enough nodes answered, and none of them knows the transaction.
    """

    detail: str
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Contradicted:
    """The transaction is in `block` and brought nothing of the token to the address; `detail` says what it did instead."""

    detail: str
    block: BlockRef


Arrival = Arrived | Unseen | Contradicted


async def read_arrival(
    pool: Pool, tx_hash: str, *, token: Address, recipients: Collection[Address], confirmations: int
) -> Arrival:
    """What `tx_hash` brought of `token` to `recipients`, in sum. Never raises for what nodes do.

    Raises ValueError where `tx_hash` is no hash.
    """
    # The heads first: a receipt that is read after them cannot be of a branch that they have replaced.
    await pool.refresh(force=True)
    heads = pool.heads(trusted=False)
    try:
        receipt, agreed_by = await agreed_receipt(pool, tx_hash)
    except NoAgreement as error:
        unknown = not error.answered and len(error.unknown_to) >= pool.agreement
        return Unseen(f"its receipt is not known to enough nodes: {error}", unknown)
    known = sorted((heads[name] for name in agreed_by if name in heads), reverse=True)
    depth = known[pool.agreement - 1] - receipt.block.number + 1 if len(known) >= pool.agreement else 0
    if depth < confirmations:
        return Unseen(f"block {receipt.block.number} has {max(depth, 0)} of {confirmations} confirmations")
    if not receipt.succeeded:
        return Contradicted("the transaction failed, so it moved nothing", receipt.block)
    ours = {to_checksum(one) for one in recipients}
    moved = [one for one in transfers_of(receipt) if one.token == to_checksum(token)]
    if not moved:
        return Contradicted(f"it moves nothing of the token {token}", receipt.block)
    amount = sum(one.amount * ((one.recipient in ours) - (one.sender in ours)) for one in moved)
    if amount <= 0:
        paid = ", ".join(sorted({one.recipient for one in moved}))
        return Contradicted(f"it pays {paid}, and brings nothing to {', '.join(sorted(ours))}", receipt.block)
    return Arrived(amount, receipt.block, depth, agreed_by)
