"""The states of a payout, and the reasons it may wait. Pure: (state, fact) -> moved | same | refused."""

from treasury.core.facts import MOVES_OF_SIGNED, OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import Moves, Status

S = Status

REASONS = frozenset(
    {
        Reason.INSUFFICIENT,
        Reason.FEE_CEILING,
        Reason.PAYMENT_MISMATCH,
        Reason.RECIPIENT_REFUSED,
        Reason.REFERENCE_SPENT,
        Reason.AWAITING_APPROVAL,
        Reason.PAYOUTS_PAUSED,
        Reason.PANIC,
        Reason.NOT_PROVED_DEAD,
        Reason.SCREENING,
        Reason.TOKEN_CHANGED,
        Reason.SIGNING_STOPPED,
        Reason.SIGNER_UNAVAILABLE,
        Reason.PROOF_UNAVAILABLE,
        Reason.QUEUED,
        Reason.NO_LEADER,
        Reason.WAITING_FOR_SECOND_NODE,
        Reason.CHAIN_PAUSED,
        Reason.REORG,
        Reason.DISPLACED,
        Reason.MISMATCH,
    }
)
"""Every reason that a payout may have."""

HELD_TOGETHER = frozenset({Reason.PAYOUTS_PAUSED, Reason.PANIC})
"""The reasons for which a payout is held with all other payouts, and released with all of them."""

HELD_ALONE = frozenset({Reason.PAYMENT_MISMATCH, Reason.NOT_PROVED_DEAD})
"""The reasons for which a payout is held alone, outside the queue: no other payout waits behind it, and it is checked again at its own intervals."""

RECHECKED = HELD_TOGETHER | HELD_ALONE | {Reason.INSUFFICIENT, Reason.FEE_CEILING}
"""The reasons that are checked again without a person."""

_BEFORE_SIGNED = (S.PLANNED, S.APPROVED, S.HELD)
_FAILED = (S.REVERTED, S.REJECTED)

MOVES: Moves[Status] = {
    OperationFact.READY: dict.fromkeys(_BEFORE_SIGNED, S.APPROVED),
    OperationFact.HELD: dict.fromkeys(_BEFORE_SIGNED, S.HELD),
    OperationFact.APPROVAL_REQUIRED: dict.fromkeys(_BEFORE_SIGNED, S.AWAITING_APPROVAL),
    OperationFact.APPROVED: {S.AWAITING_APPROVAL: S.APPROVED},
    OperationFact.CLEARED: {S.HELD: S.APPROVED},
    OperationFact.DELISTED: {S.HELD: S.APPROVED},
    OperationFact.REJECTED: dict.fromkeys((*_BEFORE_SIGNED, S.AWAITING_APPROVAL), S.REJECTED),
    OperationFact.RETRIED: dict.fromkeys(_FAILED, S.APPROVED),
    OperationFact.SETTLED: dict.fromkeys(_FAILED, S.FINAL),
    OperationFact.CLOSED: dict.fromkeys(_FAILED, S.CANCELLED),
    **MOVES_OF_SIGNED,
    OperationFact.ADOPTED: dict.fromkeys(
        (*_BEFORE_SIGNED, S.AWAITING_APPROVAL, S.REJECTED, S.CANCELLED, S.REVERTED), S.BROADCAST
    ),
}
