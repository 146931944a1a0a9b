"""The interfaces that the treasury needs: purchases at Stripe, the policy and the pauses, and the chain as several nodes agree on it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.abi.payonce import Payment
from chain.reads.batch_proof import BatchProofResult
from chain.reads.transfer_proof import ProofResult
from chain.types import Address
from treasury.core.asset_policy import AssetPolicy
from treasury.payouts.model import Payout
from treasury.sweeps.model import Sweep


@dataclass(frozen=True, slots=True)
class Owed:
    """The debt of a completed purchase to its buyer: base units of MUSD, and the wallet they go to."""

    amount: int
    to: Address


@dataclass(frozen=True, slots=True)
class NotOwed:
    """Stripe's session does not owe what a payout says; `why` is a sentence for operators that names what to look at."""

    why: str


class ProofUnavailable(Exception):
    """Stripe could not be asked about a payment. Nothing follows from that; ask again later."""


class PaymentProof(Protocol):
    """Asks Stripe about each payout before it is signed: a database row alone does not authorize a payment."""

    async def owed(self, session_id: str, stripe_session_id: str) -> Owed | NotOwed | None:
        """Return what Stripe's own session owes; NotOwed, with the reason, if it is not ours, not paid, or not paid to us.

        None has the same effect as NotOwed: Stripe knows no such payment. Raises ProofUnavailable if Stripe gives no answer about this payment.
        """


@dataclass(frozen=True, slots=True)
class Sold:
    """A completed purchase at Stripe.

    `owed` is what its buyer gets according to Stripe, None if that cannot be read. `objection` is a clause that says why this
    database does not take the purchase over; None if the purchase is in the database now.
    """

    session_id: str
    owed: Owed | None
    objection: str | None


class Purchases(Protocol):
    """The completed purchases at Stripe, some of which a restored database may have lost."""

    async def find(self, references: Collection[str]) -> Mapping[str, Sold | None]:
        """Return the purchase of each payment reference (0x and 64 hex digits), and store those that the database lost.

        None: no completed purchase has this reference. A reference that is missing from the result is still being searched for: call
        again. The call returns within seconds, with what is known if Stripe cannot be reached.
        """


class PurchaseBook(Protocol):
    """The seller's answers to the policy: amounts promised to buyers, purchase limits, and screening of recipients."""

    async def processing(self, conn: AsyncConnection) -> int:
        """Return the base units of MUSD that buyers whose payment is under way will be owed."""

    async def exceeded_limits(
        self, conn: AsyncConnection, payouts: Sequence[Payout], now: datetime
    ) -> Sequence[str | None]:
        """Return for each payout the limit of the seller that it exceeds, as a sentence, or None; those before it count as paid."""

    async def unscreened(self, recipients: Sequence[Address]) -> Collection[Address]:
        """Screen recipients (EIP-55) over the network; return those that cannot be screened at present."""

    def is_sanctioned(self, recipient: Address) -> bool:
        """Return whether this recipient (EIP-55) must not be paid, by the latest result of `unscreened`."""


@dataclass(frozen=True, slots=True)
class WalletView:
    """The state of a wallet at one block: its number of transactions, and its base units of the token and of the gas token."""

    nonce: int
    token: int
    native: int
    block_number: int


@dataclass(frozen=True, slots=True)
class FeeQuote:
    """The fee to offer, in wei for each unit of gas: the most that may be paid, and the tip within it."""

    max_fee: int
    priority_fee: int


@dataclass(frozen=True, slots=True)
class OwnTransaction:
    """A mined transaction of the wallet; `raw` are its signed bytes, None if they could not be rebuilt from its fields."""

    hash: str
    nonce: int
    to: Address | None
    data: bytes
    block_number: int
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class BroadcastReport:
    """How many nodes have the bytes, as new or known before (`reached`), and what each other node replied (`refusals`)."""

    reached: int
    refusals: Sequence[str] = ()


class Gate(Protocol):
    """Tells whether persons have paused payouts or sweeps. It is read in the transaction that takes a nonce, so that a pause applies at once."""

    async def payouts_allowed(self, conn: AsyncConnection) -> bool:
        """Return whether payouts may be signed."""

    async def sweeps_allowed(self, conn: AsyncConnection) -> bool:
        """Return whether sweeps may be signed. A panic needs no permission."""


class PolicyPort(Protocol):
    """Judges an operation by the policy at the moment it would be signed; objections are sentences for people."""

    async def exceeded_limits(
        self, conn: AsyncConnection, payouts: Sequence[Payout], now: datetime
    ) -> Sequence[str | None]:
        """Return for each payout the limit that it exceeds, so that a person must approve it, or None; those before it count as paid."""

    async def destination_objection(self, conn: AsyncConnection, sweep: Sweep) -> str | None:
        """Return why nothing may go to this sweep's or panic's Safe; None if the active policy pins that Safe."""

    async def sweep_objection(self, conn: AsyncConnection, sweep: Sweep, view: WalletView, now: datetime) -> str | None:
        """Return why this sweep would not be planned now; None if it would."""

    async def version(self, conn: AsyncConnection) -> str:
        """Return the number of the active version; an approval given under another version is not valid."""

    async def max_fee(self, conn: AsyncConnection) -> int | None:
        """Return the policy's ceiling in wei for each unit of gas; None if it names none, and the sender's own applies."""

    async def max_batch(self, conn: AsyncConnection) -> int:
        """Return how many payouts one transaction may carry out through PayOnce; at least 1."""

    async def assets(self, conn: AsyncConnection) -> Sequence[AssetPolicy]:
        """Return the assets that the active policy lists, with their floors and ceilings."""

    def is_sanctioned(self, payout: Payout) -> bool:
        """Return whether the payout's recipient must not be paid, and no person has cleared this payout in spite of that."""

    async def unscreened(self, payouts: Sequence[Payout]) -> Collection[str]:
        """Return the ids of payouts whose recipient cannot be screened at present. Call it before `is_sanctioned`; nodes may be asked."""

    async def apply_due(self, conn: AsyncConnection, now: datetime) -> str | None:
        """Activate an approved policy whose wait is over, and return its version. Raises Problem if another process just did."""


class WalletChain(Protocol):
    """The chain as the sender of one wallet reads it. Every method may raise `chain.errors.ChainError`."""

    async def view(self) -> WalletView:
        """Return the wallet as enough providers agree on it now."""

    async def nonce_counts(self) -> Mapping[str, int]:
        """Return for each provider how many transactions of the wallet it counts, mined and waiting; no agreement is needed.

        Each number is a hint: a node may not know transactions that wait elsewhere, and may invent some. Raises ChainError if fewer
        providers answer than have to agree.
        """

    async def fees(self) -> FeeQuote:
        """Return a fee that the next blocks will accept."""

    async def outgoing(self, from_block: int, to_block: int) -> list[OwnTransaction]:
        """Return the wallet's transactions in these blocks that moved any token. This is a hint: an empty list proves nothing."""

    async def spender(self, nonce: int, from_block: int, to_block: int) -> OwnTransaction | None:
        """Return the agreed transaction, of any kind, that used a nonce in these blocks; None while the nodes do not show it."""

    async def transaction(self, tx_hash: str) -> OwnTransaction | None:
        """Return one mined transaction of the wallet as enough providers agree; None while they do not show it."""

    async def prove(self, token: Address, tx_hash: str, to: Address, amount: int) -> ProofResult:
        """Return whether `tx_hash` moved exactly `amount` of `token` (NATIVE: the gas token) from the wallet to `to`."""

    async def prove_batch(
        self, contract: Address, token: Address, tx_hash: str, payments: Sequence[Payment]
    ) -> BatchProofResult:
        """Return what `tx_hash`, a call of PayOnce at `contract` by the wallet, did with each of these payments in `token`."""

    async def paid(
        self, contract: Address, payer: Address, references: Collection[bytes], block_number: int
    ) -> Mapping[bytes, int]:
        """Return for each reference in which block PayOnce paid it for `payer`, 0 for never, as of the end of block `block_number`."""

    async def allowance(self, contract: Address) -> int:
        """Return how many base units of the wallet's tokens `contract` may move now, as enough providers agree."""

    async def estimate_call(self, to: Address, data: bytes, ceiling: int) -> int | None:
        """Return the gas limit for a call from the wallet, with a margin; None if the nodes say that it would fail or need more than `ceiling`."""

    async def gone(self, tx_hash: str) -> bool:
        """Return whether at least two providers do not know the transaction, mined or waiting, and no node that answers knows it."""

    async def balance_of(self, token: Address, block_number: int) -> int:
        """Return the agreed balance of a token at a block, in base units."""

    async def estimate(self, to: Address, value: int, data: bytes) -> int:
        """Return the gas limit for a call from the wallet, with a margin."""

    async def gas_spent(self, tx_hashes: Sequence[str]) -> Mapping[str, int | None]:
        """Return by hash the wei that each of these mined transactions cost; None if no node reports it."""

    async def block_hash(self, number: int) -> str | None:
        """Return the agreed hash of a block; None if there is no agreement."""

    async def broadcast(self, raw: bytes, *, in_order: bool = False) -> BroadcastReport:
        """Send the bytes to every node; with `in_order`, to one node before the others.

        If no node replies, the report says that none was reached; it is not an error.
        """

    async def broadcast_in_order(self, raws: Sequence[bytes]) -> list[BroadcastReport]:
        """Broadcast the transactions of several nonces, the lowest first at each node. One that no node took holds back those that follow."""
