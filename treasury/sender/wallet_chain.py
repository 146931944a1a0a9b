"""Read and broadcast for one wallet through the pool of nodes."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

from chain.abi.payonce import Payment
from chain.errors import NoAgreement
from chain.pool.pool import Pool
from chain.reads.batch_proof import BatchProofResult, ExpectedBatch, prove_batch
from chain.reads.broadcast import BroadcastResult, broadcast, broadcast_in_order
from chain.reads.gas import estimate_call, estimate_gas, suggest_fees
from chain.reads.nonce_counts import nonce_counts
from chain.reads.payonce import read_allowance, read_paid
from chain.reads.receipts import agreed_receipts
from chain.reads.transfer_proof import ExpectedTransfer, ProofResult, prove, prove_native
from chain.reads.wallet import (
    agreed_transaction,
    balance_of,
    find_nonce_spender,
    is_unknown,
    outgoing_transactions,
    read_wallet,
)
from chain.types import Address, hash32, keccak, quantity, to_checksum, to_hex
from treasury.core.assets import NATIVE
from treasury.ports import BroadcastReport, FeeQuote, OwnTransaction, WalletView
from treasury.signers.signed_transaction import encode_signed


class QuorumWalletChain:
    """Reads and broadcasts through the pool, with a quorum for what money depends on. Implements `treasury.ports.WalletChain`."""

    def __init__(self, pool: Pool, *, wallet: Address, token: Address) -> None:
        self._pool = pool
        self._wallet = to_checksum(wallet)
        self._token = to_checksum(token)
        self._view: WalletView | None = None
        self._quote: tuple[int, FeeQuote] | None = None
        self._allowance: tuple[int, int] | None = None
        # Concurrent questions about a whole pipeline go to each node in one request.
        self._batcher = pool.batcher()

    async def view(self) -> WalletView:
        """Return the wallet's nonce and balances at one agreed block; the nodes are asked once for each block."""
        await self._pool.refresh()
        if self._view is None or self._view.block_number != self._pool.agreed_head():
            state = await read_wallet(self._pool, self._wallet, self._token)
            self._view = WalletView(state.nonce_latest, state.balance_token, state.balance_native, state.block_number)
        return self._view

    async def nonce_counts(self) -> Mapping[str, int]:
        """Return for each provider how many transactions of the wallet its nodes count, also those in quarantine; the highest number counts."""
        return await nonce_counts(self._pool, self._wallet)

    async def fees(self) -> FeeQuote:
        """Return twice the base fee and a tip; the nodes are asked once for each block, because fees change only with blocks."""
        await self._pool.refresh()
        block = self._pool.agreed_head()
        if self._quote is None or self._quote[0] != block:
            quote = await suggest_fees(self._pool, batcher=self._batcher)
            self._quote = block, FeeQuote(quote.max_fee, quote.priority)
        return self._quote[1]

    async def outgoing(self, from_block: int, to_block: int) -> list[OwnTransaction]:
        """Return the wallet's transactions that moved a token."""
        transactions = await outgoing_transactions(self._pool, self._wallet, from_block, to_block)
        return [OwnTransaction(tx.hash, tx.nonce, tx.to, tx.input, tx.block.number) for tx in transactions]

    async def spender(self, nonce: int, from_block: int, to_block: int) -> OwnTransaction | None:
        """Return the agreed transaction that used a nonce, found by the block in which the count passed it; None while the nodes do not show it."""
        tx_hash = await find_nonce_spender(self._pool, self._wallet, nonce, from_block, to_block)
        return None if tx_hash is None else await self.transaction(tx_hash)

    async def transaction(self, tx_hash: str) -> OwnTransaction | None:
        """Return one mined transaction as agreed, with its signed bytes if they can be rebuilt from its fields.

        None if too few nodes show it, or another wallet sent it. Raises NoAgreement if the nodes show different ones.
        """
        try:
            tx, fields = await agreed_transaction(self._pool, tx_hash)
        except NoAgreement as error:
            if error.reason == "silence":
                return None
            raise
        if tx.sender != self._wallet:
            return None
        return OwnTransaction(tx.hash, tx.nonce, tx.to, tx.input, tx.block.number, _bytes_of(fields, tx.hash))

    async def prove(self, token: Address, tx_hash: str, to: Address, amount: int) -> ProofResult:
        """Return whether `tx_hash` made exactly one Transfer of exactly this amount to `to`.

        The gas token leaves no log, so there the transaction's own fields decide.
        """
        if token == NATIVE:
            return await prove_native(
                self._pool, tx_hash, sender=self._wallet, to=to_checksum(to), amount=amount, batcher=self._batcher
            )
        return await prove(self._pool, tx_hash, ExpectedTransfer(token, to, amount, self._wallet), self._batcher)

    async def prove_batch(
        self, contract: Address, token: Address, tx_hash: str, payments: Sequence[Payment]
    ) -> BatchProofResult:
        """Return what `tx_hash` did with each of these payments, as the events of contract and token prove it."""
        return await prove_batch(
            self._pool, tx_hash, ExpectedBatch(contract, self._wallet, token, payments), self._batcher
        )

    async def paid(
        self, contract: Address, payer: Address, references: Collection[bytes], block_number: int
    ) -> Mapping[bytes, int]:
        """Return for each reference the block in which the contract paid it, 0 for never; at least two providers must agree on each answer."""
        return await read_paid(self._pool, contract, payer, references, block_number)

    async def allowance(self, contract: Address) -> int:
        """Return how many base units the contract may move at the agreed head; the nodes are asked once for each block."""
        await self._pool.refresh()
        block = self._pool.agreed_head()
        if self._allowance is None or self._allowance[0] != block:
            amount = await read_allowance(self._pool, self._token, self._wallet, contract, self._batcher)
            self._allowance = block, amount
        return self._allowance[1]

    async def estimate_call(self, to: Address, data: bytes, ceiling: int) -> int | None:
        """Return the median of the nodes' estimates and a quarter more; None if more of them say that the call would fail."""
        return await estimate_call(self._pool, self._wallet, to, data, ceiling)

    async def gone(self, tx_hash: str) -> bool:
        """Return whether at least two providers report that they do not know the transaction, and no node that answers knows it."""
        return await is_unknown(self._pool, tx_hash, self._batcher)

    async def balance_of(self, token: Address, block_number: int) -> int:
        """Return the wallet's balance of a token at a block, in base units, as enough providers agree. Raises NoAgreement."""
        return await balance_of(self._pool, self._wallet, token, block_number)

    async def estimate(self, to: Address, value: int, data: bytes) -> int:
        """Return the median of the nodes' estimates and a quarter more."""
        return await estimate_gas(self._pool, self._wallet, to, value, data)

    async def gas_spent(self, tx_hashes: Sequence[str]) -> dict[str, int | None]:
        """Return for each hash the fee in wei; None without an agreed receipt, or if its gas figures are missing.

        The fee is one node's figure and is not compared, so nodes that differ in it stop nothing.
        """
        receipts = await agreed_receipts(self._pool, tx_hashes)
        costs = (None if receipt is None else receipt.cost for receipt in receipts)
        return dict(zip(tx_hashes, costs, strict=True))

    async def block_hash(self, number: int) -> str | None:
        """Return the hash of the block that enough providers agree on; None without agreement."""

        def parse(raw: Any) -> Hashable:
            if quantity(raw["number"]) != number:
                raise ValueError("another block")
            return hash32(raw["hash"])

        try:
            agreed = await self._pool.quorum(
                "eth_getBlockByNumber", [hex(number), False], key=parse, batcher=self._batcher
            )
        except NoAgreement:
            return None
        return str(agreed.key)

    async def broadcast(self, raw: bytes, *, in_order: bool = False) -> BroadcastReport:
        """Broadcast to every node; the reply `already known` counts as reached."""
        result = await broadcast(self._pool, raw, in_order=in_order)
        self._pool.expire_probe()
        return _report(result)

    async def broadcast_in_order(self, raws: Sequence[bytes]) -> list[BroadcastReport]:
        """Broadcast several transactions to one node first, then to the others, lowest nonce first at each."""
        results = await broadcast_in_order(self._pool, raws)
        self._pool.expire_probe()
        return [_report(result) for result in results]


def _report(result: BroadcastResult) -> BroadcastReport:
    return BroadcastReport(len(result.accepted_by) + len(result.already_known_by), result.details)


def _bytes_of(fields: Mapping[str, Any], tx_hash: str) -> bytes | None:
    """Return the signed bytes of a type-2 transaction from the fields that a node shows; None unless they hash to `tx_hash`."""
    try:
        raw = encode_signed(fields)
    except Exception:  # noqa: BLE001 - a node may show anything; without bytes there is just nothing to broadcast again
        return None
    return raw if to_hex(keccak(raw)) == tx_hash else None
