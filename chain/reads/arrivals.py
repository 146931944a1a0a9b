"""How much of a token one transaction brought to a set of addresses, agreed by enough providers and deep enough in the chain.

Unlike `chain.reads.transfer_proof`, which proves one exact transfer, this computes a sum: a transaction may contain several transfers, and
what leaves the addresses in the same transaction is subtracted, so that a transfer to oneself counts as nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass

from chain.errors import NoAgreement
from chain.pool.pool import Pool
from chain.reads.receipts import agreed_receipt
from chain.reads.transfer_proof import transfers_of
from chain.types import Address, BlockRef, to_checksum


@dataclass(frozen=True, slots=True)
class Arrived:
    """`amount` base units arrived in `block`; `confirmations` counts that block as the first."""

    amount: int
    block: BlockRef
    confirmations: int
    agreed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unseen:
    """No conclusion yet: no node knows the transaction, too few answer, or it is not deep enough; `detail` says which.

    `unknown` means that enough nodes answered and none of them knows the transaction.
    """

    detail: str
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Contradicted:
    """The transaction is in `block` and brought none of the token to the addresses; `detail` says what it did instead."""

    detail: str
    block: BlockRef


Arrival = Arrived | Unseen | Contradicted


async def read_arrival(
    pool: Pool, tx_hash: str, *, token: Address, recipients: Collection[Address], confirmations: int
) -> Arrival:
    """Return how much of `token` the transaction brought to `recipients` in total. Never raises for what nodes do.

    Raises ValueError if `tx_hash` is not a hash.
    """
    # The heads are read first: a receipt read after them cannot belong to a branch that they have replaced.
    await pool.refresh(force=True)
    all_heads = pool.heads(trusted=False)
    try:
        receipt, agreed_by = await agreed_receipt(pool, tx_hash)
    except NoAgreement as error:
        unknown = not error.answered and len(error.unknown_to) >= pool.agreement
        return Unseen(f"its receipt is not known to enough nodes: {error}", unknown)
    heads = sorted((all_heads[name] for name in agreed_by if name in all_heads), reverse=True)
    depth = heads[pool.agreement - 1] - receipt.block.number + 1 if len(heads) >= pool.agreement else 0
    if depth < confirmations:
        return Unseen(f"block {receipt.block.number} has {max(depth, 0)} of {confirmations} confirmations")
    if not receipt.succeeded:
        return Contradicted("the transaction failed, so it moved nothing", receipt.block)
    ours = {to_checksum(address) for address in recipients}
    transfers = [transfer for transfer in transfers_of(receipt) if transfer.token == to_checksum(token)]
    if not transfers:
        return Contradicted(f"it moves nothing of the token {token}", receipt.block)
    amount = sum(transfer.amount * ((transfer.recipient in ours) - (transfer.sender in ours)) for transfer in transfers)
    if amount <= 0:
        paid = ", ".join(sorted({transfer.recipient for transfer in transfers}))
        return Contradicted(f"it pays {paid}, and brings nothing to {', '.join(sorted(ours))}", receipt.block)
    return Arrived(amount, receipt.block, depth, agreed_by)
