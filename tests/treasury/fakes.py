"""Stand-ins that pass for the real outside: a chain of one wallet that really decodes and checks what it is sent."""

import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from coincurve import PrivateKey
from coincurve._libsecp256k1 import ffi, lib  # type: ignore[import-not-found]
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from chain.abi.erc20 import reference_of, split_payout_calldata
from chain.errors import NoAgreement
from chain.reads.receipts import Mismatch, Proven, Reverted, Verdict, Waiting
from chain.types import ZERO_ADDRESS, BlockRef, Transfer, keccak, to_checksum
from treasury.ports import BroadcastReport, FeeQuote, Owed, OwnTransaction, ProofUnavailable, Sold, WalletView
from treasury.signers.encoding import assemble, signing_hash
from treasury.signers.intent import Intent, SigningLimits
from treasury.signers.protocol import Signed, SignerRefused, SignerUnavailable

CHAIN_ID = 31611
TOKEN = to_checksum("0x118917a40faf1cd7a13db0ef56c86de7973ac503")
KEY = bytes.fromhex("11" * 32)
SAFE = to_checksum("0x" + "5a" * 20)
MUSD = 10**18


def address_of(key: bytes) -> str:
    return to_checksum("0x" + keccak(PrivateKey(key).public_key.format(compressed=False)[1:])[12:].hex())


WALLET = address_of(KEY)


class TestClock:
    """Time that a test moves by hand."""

    __test__ = False

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class KeySigner:
    """Signs with a key in memory; may fail, and may sign differently each time as a KMS does."""

    def __init__(self, key: bytes = KEY, max_fee: int = 50 * 10**9) -> None:
        self._key = key
        self.address = address_of(key)
        self.rules = SigningLimits(CHAIN_ID, self.address, TOKEN, max_fee, cold=SAFE)
        self.requests: list[Intent] = []
        self.down = False

    async def probe(self) -> None:
        if self.down:
            raise SignerUnavailable("The signer is down.")

    async def close(self) -> None:
        """Nothing is open."""

    async def sign(self, intent: Intent) -> Signed:
        self.requests.append(intent)
        await self.probe()
        objection = self.rules.objection(intent)
        if objection is not None:
            raise SignerRefused(objection)
        # Fresh randomness, as clouds use: the same digest gives another signature each time.
        nonce = (lib.secp256k1_nonce_function_default, ffi.from_buffer(secrets.token_bytes(32)))
        raw = PrivateKey(self._key).sign_recoverable(signing_hash(intent), hasher=None, custom_nonce=nonce)
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big")
        return assemble(intent, r, s, f"req-{len(self.requests)}")


class StripeWord:
    """What Stripe says of each session; nothing unless told."""

    def __init__(self) -> None:
        self.says: dict[str, Owed] = {}
        self.objections: dict[str, str] = {}
        self.down = False
        self.asked: list[str] = []
        self.rebuild: Callable[[str, Owed], Awaitable[object]] | None = None
        """Writes a purchase into the database that has lost it."""

    async def owed(self, session_id: str, stripe_session_id: str) -> Owed | None:
        self.asked.append(session_id)
        if self.down:
            raise ProofUnavailable("Stripe does not answer.")
        return self.says.get(session_id)

    async def find(self, references: Collection[str]) -> Mapping[str, Sold | None]:
        if self.down:
            return {}
        found: dict[str, Sold | None] = dict.fromkeys(references)
        for session, owed in self.says.items():
            reference = "0x" + reference_of(session).hex()
            if reference in found:
                found[reference] = Sold(session, owed, self.objections.get(session))
                if session not in self.objections and self.rebuild is not None:
                    await self.rebuild(session, owed)
        return found


@dataclass
class Mined:
    tx: OwnTransaction
    block: BlockRef
    reverted: bool = False


@dataclass
class FakeChain:
    """One wallet on one chain: exact nonces, no queue, blocks on demand."""

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
    """How many of the wallet's transactions wait in a node at once."""
    forks: dict[int, str] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    floor: int = 0
    """The lowest fee a node's memory keeps; what offers less is refused, and forgotten silently."""

    def transfers(self) -> list[OwnTransaction]:
        return [m.tx for m in self.mined.values() if not m.reverted]

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
            if not failed and tx.to in self.balances:
                self.balances[tx.to] -= amount
            elif not failed:
                self.balance -= amount
            self.native -= 0 if failed else value
            at = OwnTransaction(tx.hash, tx.nonce, tx.to, tx.data, self.head, tx.raw)
            self.mined[tx.hash] = Mined(at, self.block(self.head), failed)
            self.nonce += 1
        self.head += blocks - 1

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

    async def fees(self) -> FeeQuote:
        return FeeQuote(self.fee, self.fee // 8)

    async def outgoing(self, from_block: int, to_block: int) -> list[OwnTransaction]:
        if self.hides_logs:
            return []
        inside = [m.tx for m in self.mined.values() if from_block <= m.block.number <= to_block]
        return [tx for tx in inside if split_payout_calldata(tx.data) or tx.data[:4].hex() == "a9059cbb"]

    async def spender(self, nonce: int, from_block: int, to_block: int) -> OwnTransaction | None:
        if self.hides_logs:
            return None
        inside = [m.tx for m in self.mined.values() if from_block <= m.block.number <= to_block]
        return next((tx for tx in inside if tx.nonce == nonce), None)

    async def transaction(self, tx_hash: str) -> OwnTransaction | None:
        found = self.mined.get(tx_hash)
        return None if found is None else found.tx

    async def prove(self, token: str, tx_hash: str, to: str, amount: int) -> Verdict:
        verdict = self._proof(tx_hash, to, amount)
        return self._native_proof(verdict, tx_hash, to, amount) if token == ZERO_ADDRESS else verdict

    def _proof(self, tx_hash: str, to: str, amount: int) -> Verdict:
        found = self.mined.get(tx_hash)
        if found is None:
            return Waiting("not_mined")
        if self.head < found.block.number + 1:
            return Waiting("waiting_for_second_node")
        if found.reverted:
            return Reverted(found.block, 52_000 * self.fee)
        parts = split_payout_calldata(found.tx.data)
        if parts is None or parts[:2] != (to, amount):
            return Mismatch("another transfer", found.block)
        transfer = Transfer(TOKEN, WALLET, to, amount, tx_hash, 0, self.block(found.block.number))
        return Proven(transfer, self.head - found.block.number + 1, ("one", "two"), 52_000 * self.fee)

    def _native_proof(self, verdict: Verdict, tx_hash: str, to: str, amount: int) -> Verdict:
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
