"""A chain of one wallet that decodes and checks the transactions it receives, as a real node does."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from chain.abi.erc20 import split_payout_calldata
from chain.abi.payonce import AlreadyPaid, Failed, Payment, decode_pay
from chain.errors import NoAgreement
from chain.payonce import ADDRESS
from chain.reads.batch_proof import BatchProofResult, PaymentResult, ProvenBatch
from chain.reads.transfer_proof import Mismatch, ProofResult, Proven, Reverted, Waiting
from chain.types import ZERO_ADDRESS, BlockRef, Transfer, keccak, to_checksum
from tests.support.hot_wallet import CHAIN_ID, MUSD, TOKEN, WALLET
from treasury.ports import BroadcastReport, FeeQuote, OwnTransaction, WalletView


@dataclass
class Mined:
    tx: OwnTransaction
    block: BlockRef
    reverted: bool = False
    results: dict[bytes, PaymentResult] = field(default_factory=dict)
    """What a call of PayOnce did with each of its payments, by reference."""


@dataclass
class FakeChain:
    """Implements `treasury.ports.WalletChain` for one wallet: exact nonces, no nonce-gap queue, blocks on demand."""

    balance: int = 1_000_000 * MUSD
    native: int = 10**18
    nonce: int = 0
    head: int = 100
    pending: dict[int, OwnTransaction] = field(default_factory=dict)
    mined: dict[str, Mined] = field(default_factory=dict)
    received: list[bytes] = field(default_factory=list)
    unreachable: bool = False
    deaf: bool = False
    hides_logs: bool = False
    reverts: bool = False
    fee: int = 10**9
    room: int = 1
    """How many of the wallet's transactions a node keeps waiting."""
    forks: dict[int, str] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    claimed_counts: dict[str, int] = field(default_factory=dict)
    """What a provider claims to count of the wallet's transactions, true or not."""
    floor: int = 0
    """The lowest fee, in wei for each unit of gas, that a node keeps; a transaction that offers less is dropped silently."""

    allowed: int = 2**256 - 1
    """How much of the wallet's token PayOnce may move."""
    refused: set[str] = field(default_factory=set)
    """Recipients that the token refuses."""
    paid_in: dict[tuple[str, bytes], int] = field(default_factory=dict)
    """PayOnce's record: (payer, reference) -> block number."""
    payment_gas: int = 70_000
    """What a payment through PayOnce adds to the estimate of its transaction."""
    unpayable: set[bytes] = field(default_factory=set)
    """References whose payment makes the nodes refuse a call of PayOnce."""

    def transfers(self) -> list[OwnTransaction]:
        return [m.tx for m in self.mined.values() if not m.reverted]

    def payments(self) -> list[tuple[str, Payment]]:
        """Return every payment that moved the token, as (transaction hash, payment), by transfer or through PayOnce."""
        payments = []
        for mined in self.mined.values():
            parts = split_payout_calldata(mined.tx.data)
            if mined.reverted:
                continue
            if parts is not None:
                payments.append((mined.tx.hash, Payment(parts[2], parts[0], parts[1])))
            paid = {reference for reference, result in mined.results.items() if isinstance(result, Transfer)}
            if paid:
                batch = decode_pay(mined.tx.data)[1]
                payments += [(mined.tx.hash, payment) for payment in batch if payment.reference in paid]
        return payments

    def block(self, number: int) -> BlockRef:
        return BlockRef(number, self.forks.get(number, "0x" + keccak(f"block {number}".encode()).hex()))

    def mine(self, blocks: int = 2) -> None:
        self.head += 1
        tx = self.pending.pop(self.nonce, None)
        if tx is not None:
            parts = split_payout_calldata(tx.data)
            amount, value = (parts[1] if parts else 0), (0 if tx.to == WALLET else self.values[tx.hash])
            held = self.balance if tx.to is None else self.balances.get(tx.to, self.balance)
            failed = self.reverts or amount > held or value > self.native
            results = self._pay(tx) if tx.to == ADDRESS and not failed else {}
            if not failed and tx.to in self.balances:
                self.balances[tx.to] -= amount
            elif not failed:
                self.balance -= amount
            self.native -= 0 if failed else value
            at = OwnTransaction(tx.hash, tx.nonce, tx.to, tx.data, self.head, tx.raw)
            self.mined[tx.hash] = Mined(at, self.block(self.head), failed, results)
            self.nonce += 1
        self.head += blocks - 1

    def _pay(self, tx: OwnTransaction) -> dict[bytes, PaymentResult]:
        results: dict[bytes, PaymentResult] = {}
        for index, payment in enumerate(decode_pay(tx.data)[1]):
            key = (WALLET, payment.reference)
            if key in self.paid_in:
                results[payment.reference] = AlreadyPaid(WALLET, payment.reference, self.paid_in[key])
            elif payment.to in self.refused or payment.amount > min(self.balance, self.allowed):
                results[payment.reference] = Failed(WALLET, payment.reference)
            else:
                self.balance -= payment.amount
                self.allowed -= payment.amount if self.allowed < 2**256 - 1 else 0
                self.paid_in[key] = self.head
                block = self.block(self.head)
                results[payment.reference] = Transfer(
                    TOKEN, WALLET, payment.to, payment.amount, tx.hash, 2 * index + 1, block
                )
        return results

    def unmine(self, tx_hash: str) -> None:
        """Replace the block of the newest transaction by one without it."""
        gone = self.mined[tx_hash]
        amounts = [payment.amount for paid_by, payment in self.payments() if paid_by == tx_hash]
        del self.mined[tx_hash]
        self.nonce, self.balance = gone.tx.nonce, self.balance + sum(amounts)
        self.paid_in = {key: block for key, block in self.paid_in.items() if block != gone.block.number}
        self.forks[gone.block.number] = "0x" + os.urandom(32).hex()

    def accept(self, raw: bytes) -> None:
        fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        assert Account.recover_transaction(raw) == WALLET
        assert fields["chainId"] == CHAIN_ID
        tx_hash = "0x" + keccak(raw).hex()
        self.values[tx_hash], self.limits[tx_hash] = fields["value"], fields["gas"]
        if fields["maxFeePerGas"] < self.floor:
            return
        waiting = self.nonce
        while waiting in self.pending:
            waiting += 1
        if fields["nonce"] == waiting and waiting < self.nonce + self.room:
            to = to_checksum("0x" + bytes(fields["to"]).hex())
            self.pending[waiting] = OwnTransaction(tx_hash, waiting, to, bytes(fields["data"]), 0, raw)

    async def view(self) -> WalletView:
        if self.unreachable:
            raise NoAgreement("silence")
        return WalletView(self.nonce, self.balance, self.native, self.head)

    async def nonce_counts(self) -> dict[str, int]:
        if self.unreachable:
            raise NoAgreement("silence")
        waiting = self.nonce
        while waiting in self.pending:
            waiting += 1
        return {"one": waiting, "two": self.nonce} | self.claimed_counts

    async def fees(self) -> FeeQuote:
        return FeeQuote(self.fee, self.fee // 8)

    async def outgoing(self, from_block: int, to_block: int) -> list[OwnTransaction]:
        if self.hides_logs:
            return []
        inside = [m.tx for m in self.mined.values() if from_block <= m.block.number <= to_block]
        return [
            tx
            for tx in inside
            if split_payout_calldata(tx.data) or tx.data[:4].hex() == "a9059cbb" or self.mined[tx.hash].results
        ]

    async def spender(self, nonce: int, from_block: int, to_block: int) -> OwnTransaction | None:
        if self.hides_logs:
            return None
        inside = [m.tx for m in self.mined.values() if from_block <= m.block.number <= to_block]
        return next((tx for tx in inside if tx.nonce == nonce), None)

    async def transaction(self, tx_hash: str) -> OwnTransaction | None:
        receipt = self.mined.get(tx_hash)
        return None if receipt is None else receipt.tx

    async def prove(self, token: str, tx_hash: str, to: str, amount: int) -> ProofResult:
        verdict = self._proof(tx_hash, to, amount)
        return self._native_proof(verdict, tx_hash, to, amount) if token == ZERO_ADDRESS else verdict

    def _proof(self, tx_hash: str, to: str, amount: int) -> ProofResult:
        receipt = self.mined.get(tx_hash)
        if receipt is None:
            return Waiting("not_mined")
        if self.head < receipt.block.number + 1:
            return Waiting("waiting_for_second_node", block=receipt.block)
        if receipt.reverted:
            return Reverted(receipt.block, 52_000 * self.fee)
        parts = split_payout_calldata(receipt.tx.data)
        if parts is None or parts[:2] != (to, amount):
            return Mismatch("another transfer", receipt.block)
        transfer = Transfer(TOKEN, WALLET, to, amount, tx_hash, 0, self.block(receipt.block.number))
        return Proven(transfer, self.head - receipt.block.number + 1, ("one", "two"), 52_000 * self.fee)

    async def prove_batch(
        self, contract: str, token: str, tx_hash: str, payments: Sequence[Payment]
    ) -> BatchProofResult:
        receipt = self.mined.get(tx_hash)
        if receipt is None:
            return Waiting("not_mined")
        if self.head < receipt.block.number + 1:
            return Waiting("waiting_for_second_node", block=receipt.block)
        if receipt.reverted:
            return Reverted(receipt.block, 52_000 * self.fee)
        if receipt.tx.to != contract or decode_pay(receipt.tx.data) != (token, tuple(payments)):
            return Mismatch("other payments", receipt.block)
        block = self.block(receipt.block.number)
        return ProvenBatch(block, receipt.results, ("one", "two"), 52_000 * self.fee)

    async def paid(
        self, contract: str, payer: str, references: Collection[bytes], block_number: int
    ) -> dict[bytes, int]:
        blocks = {reference: self.paid_in.get((payer, reference), 0) for reference in references}
        return {reference: block if block <= block_number else 0 for reference, block in blocks.items()}

    async def allowance(self, contract: str) -> int:
        return self.allowed

    async def estimate_call(self, to: str, data: bytes, ceiling: int) -> int | None:
        payments = decode_pay(data)[1]
        if any(payment.reference in self.unpayable for payment in payments):
            return None
        gas = 200_000 + self.payment_gas * len(payments)
        return gas if gas <= ceiling else None

    def _native_proof(self, verdict: ProofResult, tx_hash: str, to: str, amount: int) -> ProofResult:
        if not isinstance(verdict, Mismatch):
            return verdict
        tx = self.mined[tx_hash].tx
        if (tx.to, self.values[tx_hash]) != (to, amount):
            return verdict
        moved = Transfer(ZERO_ADDRESS, WALLET, to, amount, tx_hash, 0, verdict.block)
        return Proven(moved, self.head - verdict.block.number + 1, ("one", "two"))

    async def gone(self, tx_hash: str) -> bool:
        return tx_hash not in self.mined and tx_hash not in {tx.hash for tx in self.pending.values()}

    async def balance_of(self, token: str, block_number: int) -> int:
        return self.balances.get(token, 0)

    async def estimate(self, to: str, value: int, data: bytes) -> int:
        return 30_000

    async def gas_spent(self, tx_hashes: Sequence[str]) -> dict[str, int | None]:
        return dict.fromkeys(tx_hashes, 52_000 * self.fee)

    async def block_hash(self, number: int) -> str | None:
        return self.block(number).hash

    async def broadcast(self, raw: bytes, *, in_order: bool = False) -> BroadcastReport:
        self.received.append(raw)
        if self.deaf:
            return BroadcastReport(0, ("Node one: no answer",))
        self.accept(raw)
        tx_hash = "0x" + keccak(raw).hex()
        known = tx_hash in self.mined or tx_hash in {tx.hash for tx in self.pending.values()}
        return BroadcastReport(2) if known else BroadcastReport(0, ("Node one: invalid nonce",))

    async def broadcast_in_order(self, raws: Sequence[bytes]) -> list[BroadcastReport]:
        reports: list[BroadcastReport] = []
        for raw in raws:
            stopped = reports and not reports[-1].reached
            reports.append(BroadcastReport(0, ("held back",)) if stopped else await self.broadcast(raw))
        return reports
