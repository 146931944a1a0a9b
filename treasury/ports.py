"""What the treasury needs from outside: Stripe's word on a payment, and the chain as several nodes agree on it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.reads.receipts import Verdict
from chain.types import Address
from treasury.payouts.table import Payout
from treasury.policy.model import AssetPolicy
from treasury.sweeps.table import Sweep


@dataclass(frozen=True, slots=True)
class Owed:
    """What a completed purchase owes its buyer: base units of MUSD, and the wallet it goes to."""

    amount: int
    to: Address


@dataclass(frozen=True, slots=True)
class NotOwed:
    """Stripe's session does not owe what a payout says; `why` is a sentence for operators that names what to look at."""

    why: str


class ProofUnavailable(Exception):
    """Stripe could not be asked just now; nothing follows from it, ask again later."""


class PaymentProof(Protocol):
    """Stripe, asked anew for each payout: a row in a database is no authority to pay."""

    async def owed(self, session_id: str, stripe_session_id: str) -> Owed | NotOwed | None:
        """What Stripe's own session says is owed; NotOwed, or None, where it is not ours, not paid, or not paid to us.

        Raises ProofUnavailable when Stripe gives no answer about this payment.
        """


@dataclass(frozen=True, slots=True)
class Sold:
    """A completed purchase at Stripe.

    `owed` is what Stripe says that its buyer gets, None where that cannot be read. `objection` says why this database does not take
    the purchase over, as half a sentence; None where it is in the database now.
    """

    session_id: str
    owed: Owed | None
    objection: str | None


class Purchases(Protocol):
    """The completed purchases at Stripe, of which a restored database may have lost some."""

    async def find(self, references: Collection[str]) -> Mapping[str, Sold | None]:
        """Return the purchase that each payment reference (0x and 64 hex digits) belongs to, and store those that the database lost.

        None: every completed purchase was looked at, and none has this reference. A reference that is not in the answer is still
        looked for: call again. Answers within seconds; where Stripe cannot be reached, with what is known.
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


class Gate(Protocol):
    """What people have paused; asked in the transaction that takes a nonce, so that a pause holds at once."""

    async def payouts_allowed(self, conn: AsyncConnection) -> bool:
        """Whether payouts may be signed."""

    async def sweeps_allowed(self, conn: AsyncConnection) -> bool:
        """Whether sweeps may be signed; a panic does not ask."""


class PolicyPort(Protocol):
    """What the policy says of an operation at the moment it would be signed; each answer is a sentence for people."""

    async def payouts_above(
        self, conn: AsyncConnection, payouts: Sequence[Payout], now: datetime
    ) -> Sequence[str | None]:
        """For each, which limit it is above where those before it are paid, so that a person must approve it; None for none."""

    async def destination_objection(self, conn: AsyncConnection, sweep: Sweep) -> str | None:
        """Why nothing may go where this sweep or panic goes; None where the active policy pins it."""

    async def sweep_objection(self, conn: AsyncConnection, sweep: Sweep, view: WalletView, now: datetime) -> str | None:
        """Why this sweep would not be planned now; None where it would."""

    async def version(self, conn: AsyncConnection) -> str:
        """The number of the active policy's version; an approval given under another version does not count."""

    async def max_fee(self, conn: AsyncConnection) -> int | None:
        """The ceiling in wei for each unit of gas; None: the sender's own."""

    async def assets(self, conn: AsyncConnection) -> Sequence[AssetPolicy]:
        """What the active policy lists, with floors and ceilings."""

    def listed(self, payout: Payout) -> bool:
        """Whether nobody may pay its recipient, and no person let it through all the same."""

    async def unscreened(self, payouts: Sequence[Payout]) -> Collection[str]:
        """Ids of those of whose recipient nothing can be said just now; asked before `listed`. Nodes may be asked."""

    async def apply_due(self, conn: AsyncConnection, now: datetime) -> str | None:
        """Let an approved policy count whose time has come; its version. Raises Problem where another process just did."""


class WalletChain(Protocol):
    """The chain as the sender of one wallet sees it; every method may raise `chain.errors.ChainError`."""

    async def view(self) -> WalletView:
        """The wallet now, as enough operators agree."""

    async def fees(self) -> FeeQuote:
        """A fee that the next blocks will take."""

    async def outgoing(self, from_block: int, to_block: int) -> list[OwnTransaction]:
        """Transactions of the wallet that moved the token. A hint: an empty answer proves nothing."""

    async def spender(self, nonce: int, from_block: int, to_block: int) -> OwnTransaction | None:
        """The wallet's transaction that spent a nonce in these blocks, as agreed, whatever it did; None while nodes do not tell."""

    async def transaction(self, tx_hash: str) -> OwnTransaction | None:
        """One mined transaction of the wallet as enough operators agree; None while they do not show it."""

    async def prove(self, token: Address, tx_hash: str, to: Address, amount: int) -> Verdict:
        """Whether `tx_hash` moved exactly `amount` of `token`, or of the gas token (NATIVE), from the wallet to `to`."""

    async def gone(self, tx_hash: str) -> bool:
        """Whether at least two operators know nothing of the transaction, mined or waiting, and nobody knows of it."""

    async def balance_of(self, token: Address, block_number: int) -> int:
        """What the wallet holds of a token at a block, as agreed."""

    async def estimate(self, to: Address, value: int, data: bytes) -> int:
        """Gas that a call from the wallet takes now, with a margin."""

    async def gas_spent(self, tx_hashes: Sequence[str]) -> Mapping[str, int | None]:
        """Wei that each of these mined transactions cost; None where the nodes do not say."""

    async def block_hash(self, number: int) -> str | None:
        """The agreed hash of a block; None where there is no agreed one."""

    async def broadcast(self, raw: bytes, *, in_order: bool = False) -> BroadcastReport:
        """Hand the bytes to every node, `in_order` to one before the others.

        Silence of all is a report that reached nobody, not an error.
        """

    async def broadcast_in_order(self, raws: Sequence[bytes]) -> list[BroadcastReport]:
        """The same for several nonces, the lowest first at each node; what nobody took holds back what follows."""
