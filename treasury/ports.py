"""What the treasury needs from outside: Stripe's word on a payment, and the chain as several nodes agree on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from chain.confirm import Verdict
from chain.types import Address


@dataclass(frozen=True, slots=True)
class Owed:
    """What a completed purchase owes its buyer: base units of MUSD, and the wallet it goes to."""

    amount: int
    to: Address


class ProofUnavailable(Exception):
    """Stripe could not be asked just now; nothing follows from it, ask again later."""


class PaymentProof(Protocol):
    """Stripe, asked anew for each payout: a row in a database is no authority to pay."""

    async def owed(self, session_id: str, stripe_session_id: str) -> Owed | None:
        """What Stripe's own session says is owed; None where it is not ours, not paid, or not paid to us.

        Raises ProofUnavailable when Stripe gives no answer.
        """


@dataclass(frozen=True, slots=True)
class WalletView:
    """A wallet at one block: how many transactions it has made, and what it holds in base units."""

    nonce: int
    token: int
    native: int
    block_number: int


@dataclass(frozen=True, slots=True)
class FeeQuote:
    """Wei for each unit of gas: the most that may be paid, and the tip within it."""

    max_fee: int
    priority_fee: int


@dataclass(frozen=True, slots=True)
class OwnTransaction:
    """A mined transaction of the wallet; `raw` are its signed bytes where they could be rebuilt and hash to `hash`."""

    hash: str
    nonce: int
    to: Address | None
    data: bytes
    block_number: int
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class BroadcastReport:
    """How the nodes took the bytes: `reached` have them (new or already), `refusals` name each other answer."""

    reached: int
    refusals: Sequence[str] = ()


class WalletChain(Protocol):
    """The chain as the sender of one wallet sees it; every method may raise `chain.errors.ChainError`."""

    async def view(self) -> WalletView:
        """The wallet now, as enough operators agree."""

    async def fees(self) -> FeeQuote:
        """A fee that the next blocks will take."""

    async def outgoing(self, from_block: int, to_block: int) -> list[OwnTransaction]:
        """Transactions of the wallet that moved the token. A hint: an empty answer proves nothing."""

    async def transaction(self, tx_hash: str) -> OwnTransaction | None:
        """One mined transaction of the wallet as enough operators agree; None while they do not show it."""

    async def prove(self, tx_hash: str, to: Address, amount: int) -> Verdict:
        """Whether `tx_hash` moved exactly `amount` from the wallet to `to`."""

    async def gas_spent(self, tx_hash: str) -> int | None:
        """Wei that a mined transaction cost, for metrics; None where no node says."""

    async def block_hash(self, number: int) -> str | None:
        """The agreed hash of a block; None where there is no agreed one."""

    async def broadcast(self, raw: bytes) -> BroadcastReport:
        """Hand the bytes to every node; silence of all is a report that reached nobody, not an error."""
