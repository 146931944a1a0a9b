"""Prove that one transfer happened: the only accepted evidence of a delivery.

Mezo's blocks are final once committed, so depth adds nothing. The risk is a node that lags, prunes or forges answers. So enough providers
must return the same receipt, and enough of those must have the next block, because the header of block H+1 contains the signatures
for H.
"""

import asyncio
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from chain.abi.erc20 import TRANSFER_TOPIC, decode_transfer_log
from chain.errors import NoAgreement
from chain.node.batch import Batcher
from chain.pool.health import answering_providers
from chain.pool.pool import Pool
from chain.reads.receipts import Receipt, agreed_receipt
from chain.types import ZERO_ADDRESS, Address, BlockRef, Transfer, hash32, quantity, to_checksum

WaitReason = Literal["waiting_for_second_node", "not_mined", "chain_paused"]


@dataclass(frozen=True, slots=True)
class ExpectedTransfer:
    """The transfer to find: exactly one Transfer of `token` to `recipient`, of exactly `amount` base units.

    `sender` None accepts any sender, a collection any of its members. `log_index` selects one event if a transaction
    may pay the same recipient more than once.
    """

    token: Address
    recipient: Address
    amount: int
    sender: Address | Collection[Address] | None = None
    log_index: int | None = None

    def senders(self) -> frozenset[Address] | None:
        """Return the accepted senders; None for any."""
        if self.sender is None:
            return None
        addresses = [self.sender] if isinstance(self.sender, str) else self.sender
        return frozenset(to_checksum(address) for address in addresses)


@dataclass(frozen=True, slots=True)
class Proven:
    """The transfer happened, as enough providers agree; `confirmations` counts its own block as 1.

    `cost` is the fee in wei that one node reports, None if it does not.
    """

    transfer: Transfer
    confirmations: int
    agreed_by: tuple[str, ...]
    cost: int | None = field(default=None, compare=False)

    @property
    def block(self) -> BlockRef:
        """The block of the transfer."""
        return self.transfer.block


@dataclass(frozen=True, slots=True)
class Waiting:
    """No conclusion yet; try again after the next block."""

    reason: WaitReason
    detail: str = ""
    block: BlockRef | None = None
    """The transaction's block, if enough providers agree on its receipt and only the next block is missing; else None."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The transaction succeeded but did something else, described in `detail`.

    `cost` is the fee in wei that one node reports, None if it does not.
    """

    detail: str
    block: BlockRef
    cost: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Reverted:
    """The transaction is in this block with status 0: it spent gas and moved nothing.

    `cost` is the fee in wei that one node reports, None if it does not.
    """

    block: BlockRef
    cost: int | None = field(default=None, compare=False)


ProofResult = Proven | Waiting | Mismatch | Reverted


async def prove_many(pool: Pool, owed: Sequence[tuple[str, ExpectedTransfer]]) -> list[ProofResult]:
    """Return, in the order of `owed`, whether each expected transfer happened in its transaction. Never raises for what nodes do.

    All are asked in few requests. Raises ValueError if a hash is invalid.
    """
    batcher = pool.batcher()
    return await asyncio.gather(*(prove(pool, tx_hash, expected, batcher) for tx_hash, expected in owed))


@dataclass(frozen=True, slots=True)
class SettledReceipt:
    """The receipt of a transaction that succeeded and can no longer change.

    `agreed_by` names the providers that returned it; enough of them, not necessarily all, also have the next block.
    `confirmations` counts the receipt's own block as 1.
    """

    receipt: Receipt
    confirmations: int
    agreed_by: tuple[str, ...]


async def settled_receipt(
    pool: Pool, tx_hash: str, batcher: Batcher | None = None
) -> SettledReceipt | Waiting | Reverted:
    """Return the receipt of a transaction that succeeded and can no longer change; Reverted if it failed, Waiting if neither is known yet.

    Costs one receipt at each provider, and a second one if the next block was found only after the first. Never raises for what nodes do;
    raises ValueError if `tx_hash` is not a hash.
    """
    try:
        receipt, agreed_by = await agreed_receipt(pool, tx_hash, batcher)
        beyond = _beyond(pool, agreed_by, receipt.block.number + 1)
        if len(beyond) < pool.agreement:
            await pool.refresh()
            # Read again: the first receipt is older than the block that signs for it, and may belong to an abandoned branch.
            receipt, agreed_by = await agreed_receipt(pool, tx_hash, batcher)
            beyond = _beyond(pool, agreed_by, receipt.block.number + 1)
    except NoAgreement as error:
        return await _waiting(pool, error)
    if len(beyond) < pool.agreement:
        return Waiting(
            wait_reason(pool) or "waiting_for_second_node",
            f"block {receipt.block.number} has no successor at {pool.agreement} providers yet",
            receipt.block,
        )
    if not receipt.succeeded:
        return Reverted(receipt.block, receipt.cost)
    head = sorted(beyond.values(), reverse=True)[pool.agreement - 1]
    return SettledReceipt(receipt, head - receipt.block.number + 1, agreed_by)


async def prove(pool: Pool, tx_hash: str, expected: ExpectedTransfer, batcher: Batcher | None = None) -> ProofResult:
    """Return whether the expected transfer happened in `tx_hash`. Never raises for what nodes do.

    Costs one receipt at each provider, sometimes two. Raises ValueError if `tx_hash` is not a hash.
    """
    settled = await settled_receipt(pool, tx_hash, batcher)
    if not isinstance(settled, SettledReceipt):
        return settled
    receipt = settled.receipt
    transfer = find_transfer(receipt, expected)
    if isinstance(transfer, str):
        return Mismatch(transfer, receipt.block, receipt.cost)
    return Proven(transfer, settled.confirmations, settled.agreed_by, receipt.cost)


async def prove_native(
    pool: Pool, tx_hash: str, *, sender: Address, to: Address, amount: int, batcher: Batcher | None = None
) -> ProofResult:
    """Return whether `tx_hash` moved exactly `amount` wei of the gas token from `sender` to `to`.

    No event records that, so the proof's `transfer.token` is the zero address and its log index 0. Never raises for what nodes do; raises
    ValueError if `tx_hash` is not a hash.
    """
    # No token has the zero address, so a successful transaction comes back as a mismatch, and its fields decide.
    unlogged = ExpectedTransfer(ZERO_ADDRESS, to, amount, sender)
    verdict = await prove(pool, tx_hash, unlogged, batcher)
    if not isinstance(verdict, Mismatch):
        return verdict

    def fields(raw: Any) -> Hashable:
        return (
            hash32(raw["hash"]),
            to_checksum(raw["from"].lower()),
            to_checksum(raw["to"].lower()),
            quantity(raw["value"]),
            hash32(raw["blockHash"]),
        )

    try:
        agreed = await pool.quorum("eth_getTransactionByHash", [hash32(tx_hash)], key=fields, batcher=batcher)
    except NoAgreement as error:
        return await _waiting(pool, error)
    if agreed.key != (hash32(tx_hash), to_checksum(sender), to_checksum(to), amount, verdict.block.hash):
        return Mismatch("the transaction moved another amount of the gas token, or to another", verdict.block)
    transfer = Transfer(ZERO_ADDRESS, to_checksum(sender), to_checksum(to), amount, hash32(tx_hash), 0, verdict.block)
    return Proven(transfer, max(1, pool.agreed_head() - verdict.block.number + 1), agreed.agreed_by, verdict.cost)


def find_transfer(receipt: Receipt, expected: ExpectedTransfer) -> Transfer | str:
    """Return the expected transfer in a receipt, or a sentence that describes what the receipt contains instead."""
    return match_transfer(transfers_of(receipt), expected)


def match_transfer(transfers: Sequence[Transfer], expected: ExpectedTransfer) -> Transfer | str:
    """Return the expected transfer among those of a transaction, or a sentence that describes what they are instead."""
    token, recipient = to_checksum(expected.token), to_checksum(expected.recipient)
    transfers = [transfer for transfer in transfers if transfer.token == token]
    if expected.log_index is not None:
        transfers = [transfer for transfer in transfers if transfer.log_index == expected.log_index]
    if not transfers:
        return f"no Transfer of the token {token} in the transaction"
    ours = [transfer for transfer in transfers if transfer.recipient == recipient]
    if not ours:
        return (
            f"the token went to {', '.join(sorted({transfer.recipient for transfer in transfers}))}, not to {recipient}"
        )
    if len(ours) > 1:
        return f"{len(ours)} Transfers to {recipient} where exactly one was expected"
    transfer = ours[0]
    if transfer.amount != expected.amount:
        return f"the amount is {transfer.amount} base units, not {expected.amount}"
    senders = expected.senders()
    if senders is not None and transfer.sender not in senders:
        return f"it came from {transfer.sender}, who is not an expected sender"
    return transfer


def transfers_of(receipt: Receipt) -> list[Transfer]:
    """Return all ERC-20 Transfers in a receipt, of any token."""
    transfers = []
    for address, topics, data, log_index in receipt.logs:
        if not topics or topics[0] != TRANSFER_TOPIC:
            continue
        transfer = decode_transfer_log(
            {
                "address": address,
                "topics": topics,
                "data": "0x" + data.hex(),
                "transactionHash": receipt.tx_hash,
                "logIndex": hex(log_index),
                "blockNumber": hex(receipt.block.number),
                "blockHash": receipt.block.hash,
            }
        )
        if transfer is not None:
            transfers.append(transfer)
    return transfers


def _beyond(pool: Pool, providers: tuple[str, ...], block: int) -> dict[str, int]:
    """Return the heads of those of `providers` that have reached `block`."""
    # A provider whose receipt counted also counts with its head, even if it is quarantined for another answer.
    heads = pool.heads(trusted=False)
    return {name: head for name, head in heads.items() if name in providers and head >= block}


def wait_reason(pool: Pool) -> WaitReason | None:
    """Return why no transfer can be proved now; None if nothing prevents it. Too few answering providers is not a halt of the chain."""
    if len(answering_providers(pool.nodes)) < pool.agreement:
        return "waiting_for_second_node"
    return "chain_paused" if pool.halt_reason else None


async def _waiting(pool: Pool, error: NoAgreement) -> Waiting:
    await pool.refresh()  # the last probe may be old, which is not a halt of the chain
    if reason := wait_reason(pool):
        return Waiting(reason, str(error))
    # A null means that one node does not know the transaction. Enough nulls and no receipt is the closest to "not mined" that
    # nodes can report.
    if not error.answered and len(error.unknown_to) >= pool.agreement:
        return Waiting("not_mined", str(error))
    return Waiting("waiting_for_second_node", str(error))
