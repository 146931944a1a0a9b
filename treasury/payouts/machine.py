"""The life of a payout. Pure: (state, fact) -> moved | same | refused."""

from enum import StrEnum

from treasury.status import Moves, Status

S = Status


class Reason(StrEnum):
    """Why a payout is held, or waits in the queue or though it is signed."""

    INSUFFICIENT = "insufficient"
    """Too little available; it comes back by itself, the oldest first."""
    FEE_CEILING = "fee_ceiling"
    """The chain asks for more than we pay; it comes back by itself."""
    PAYMENT_MISMATCH = "payment_mismatch"
    """Stripe does not say what the row says; all signing stops."""
    RECIPIENT_REFUSED = "recipient_refused"
    """The token refuses this recipient, or it is our own wallet."""
    REFERENCE_SPENT = "reference_spent"
    """A transfer with this payout's reference is on chain already, but not with its amount and recipient."""
    AWAITING_APPROVAL = "awaiting_approval"
    """It is above a limit of the policy; a person decides."""
    PAYOUTS_PAUSED = "payouts_paused"
    """A person stopped payouts; it comes back when another resumes them."""
    PANIC = "panic"
    """The wallet is being emptied; it comes back when that is over."""
    NOT_PROVED_DEAD = "not_proved_dead"
    """Another attempt was asked for, and the chain has not said yet that the earlier one can never be mined."""
    SCREENING = "screening"
    """The recipient is on the list of those who may not be paid."""
    WAITING_FOR_SECOND_NODE = "waiting_for_second_node"
    CHAIN_PAUSED = "chain_paused"
    REORG = "reorg"
    DISPLACED = "displaced"
    """Another transaction took the nonce: this one can never be mined, the buyer is unpaid."""
    MISMATCH = "mismatch"
    """The chain shows another transfer than the one that was signed."""


STOPPED = frozenset({Reason.PAYOUTS_PAUSED, Reason.PANIC})
"""Held with all others, and released with all others."""

COMES_BACK = STOPPED | {
    Reason.INSUFFICIENT,
    Reason.FEE_CEILING,
    Reason.PAYMENT_MISMATCH,
    Reason.NOT_PROVED_DEAD,
}
"""Held for something that is looked at again without a person."""


class Fact(StrEnum):
    """What can become known about a payout."""

    TAKEN = "taken"
    """Nothing speaks against it; it has a transaction with a nonce."""
    HELD = "held"
    """Something speaks against it before it is signed."""
    ASKED = "asked"
    """A person has to approve it."""
    APPROVED = "approved"
    """A person has."""
    CLEARED = "cleared"
    """A person lets it through although its recipient is listed."""
    UNLISTED = "unlisted"
    """Its recipient is not on the list any more."""
    REJECTED = "rejected"
    """A person said no; the buyer is unpaid."""
    RETRIED = "retried"
    """Two persons want another attempt at one that failed or was rejected."""
    SETTLED = "settled"
    """Made good by a transfer elsewhere, which the chain has proved."""
    CLOSED = "closed"
    """Made good in a way that only people know of."""
    SIGNED = "signed"
    BROADCAST = "broadcast"
    SEEN = "seen"
    PROVEN = "proven"
    REVERTED = "reverted"
    """Its transaction failed or can never be mined: the buyer is unpaid, persons decide."""
    REORGED = "reorged"
    ADOPTED = "adopted"
    """A transaction on chain carries its reference: it is paid, whatever we thought."""


_BEFORE_SIGNED = (S.PLANNED, S.APPROVED, S.HELD)

MOVES: Moves = {
    Fact.TAKEN: dict.fromkeys(_BEFORE_SIGNED, S.APPROVED),
    Fact.HELD: dict.fromkeys(_BEFORE_SIGNED, S.HELD),
    Fact.ASKED: dict.fromkeys(_BEFORE_SIGNED, S.AWAITING_APPROVAL),
    Fact.APPROVED: {S.AWAITING_APPROVAL: S.APPROVED},
    Fact.CLEARED: {S.HELD: S.APPROVED},
    Fact.UNLISTED: {S.HELD: S.APPROVED},
    Fact.REJECTED: dict.fromkeys((*_BEFORE_SIGNED, S.AWAITING_APPROVAL), S.REJECTED),
    Fact.RETRIED: dict.fromkeys((S.REVERTED, S.REJECTED), S.APPROVED),
    Fact.SETTLED: dict.fromkeys((S.REVERTED, S.REJECTED), S.FINAL),
    Fact.CLOSED: dict.fromkeys((S.REVERTED, S.REJECTED), S.CANCELLED),
    Fact.SIGNED: {S.APPROVED: S.SIGNED},
    Fact.BROADCAST: {S.SIGNED: S.BROADCAST, S.BROADCAST: S.BROADCAST},
    Fact.SEEN: {S.SIGNED: S.MINED, S.BROADCAST: S.MINED, S.MINED: S.MINED},
    Fact.PROVEN: {S.MINED: S.FINAL, S.FINAL: S.FINAL},
    Fact.REVERTED: {S.SIGNED: S.REVERTED, S.BROADCAST: S.REVERTED, S.MINED: S.REVERTED},
    Fact.REORGED: {S.MINED: S.BROADCAST, S.FINAL: S.BROADCAST},
    Fact.ADOPTED: dict.fromkeys(
        (*_BEFORE_SIGNED, S.AWAITING_APPROVAL, S.REJECTED, S.CANCELLED, S.REVERTED), S.BROADCAST
    ),
}
