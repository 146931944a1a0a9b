"""The life of a payout. Pure: (state, fact) -> moved | same | refused."""

from enum import StrEnum

from treasury.core.status import Moves, Status

S = Status


class Reason(StrEnum):
    """Why a payout is held, or waits in the queue or though it is signed."""

    INSUFFICIENT = "insufficient"
    """Too little available; it comes back by itself, the oldest first."""
    FEE_CEILING = "fee_ceiling"
    """The chain asks for more than we pay; it comes back by itself."""
    PAYMENT_MISMATCH = "payment_mismatch"
    """Stripe does not say what the row says. Held alone, and asked again until Stripe agrees."""
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
    """The recipient is on the list of those who may not be paid, or cannot be checked against it just now."""
    TOKEN_CHANGED = "token_changed"  # noqa: S105 - a reason, no secret
    """It is owed in another token than MUSD_TOKEN_ADDRESS names now; it comes back when that token is configured again."""
    SIGNING_STOPPED = "signing_stopped"
    """Queued: the wallet has transactions or coins that no row explains, so nothing is signed."""
    SIGNER_UNAVAILABLE = "signer_unavailable"
    """Queued: the signer gave no signature and is asked again soon."""
    PROOF_UNAVAILABLE = "proof_unavailable"
    """Queued: Stripe did not say just now whether it is owed."""
    QUEUED = "queued"
    """Shown only, never stored: nothing is wrong, others are paid first."""
    NO_LEADER = "no_leader"
    """Shown only, never stored: no process with the worker `treasury` has led this wallet for the length of its lease."""
    WAITING_FOR_SECOND_NODE = "waiting_for_second_node"
    CHAIN_PAUSED = "chain_paused"
    REORG = "reorg"
    DISPLACED = "displaced"
    """Another transaction took the nonce: this one can never be mined, the buyer is unpaid."""
    MISMATCH = "mismatch"
    """The chain shows another transfer than the one that was signed."""


STOPPED = frozenset({Reason.PAYOUTS_PAUSED, Reason.PANIC})
"""Held with all others, and released with all others."""

ASIDE = frozenset({Reason.PAYMENT_MISMATCH, Reason.NOT_PROVED_DEAD})
"""Held alone, outside the queue: nobody waits behind one, and each is looked at again at a pace of its own."""

COMES_BACK = STOPPED | ASIDE | {Reason.INSUFFICIENT, Reason.FEE_CEILING}
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
