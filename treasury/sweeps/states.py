"""The states of a sweep, and the reasons it may wait. Pure: (state, fact) -> moved | same | refused."""

from enum import StrEnum

from treasury.core.facts import MOVES_OF_SIGNED, OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import Moves, Status

S = Status


class SweepKind(StrEnum):
    """Whether a sweep brings the balance down within the policy, or empties the wallet."""

    SWEEP = "sweep"
    """Bring the balance down, within the policy's floor and limits."""
    PANIC = "panic"
    """Empty the wallet: no floor, no limit and no pause apply; it always takes two persons."""


RECHECKED = frozenset(
    {
        Reason.COLD_WALLET_UNVERIFIED,
        Reason.SWEEPS_PAUSED,
        Reason.POLICY,
        Reason.FEE_CEILING,
        Reason.INSUFFICIENT,
        Reason.NOT_ESTIMATED,
        Reason.GAS_LAST,
    }
)
"""The reasons that are checked again without a person."""

REASONS = RECHECKED | {
    Reason.FORGED,
    Reason.WAITING_FOR_SECOND_NODE,
    Reason.CHAIN_PAUSED,
    Reason.REORG,
    Reason.DISPLACED,
    Reason.MISMATCH,
}
"""Every reason that a sweep may have."""

_QUEUED = (S.APPROVED, S.HELD)

MOVES: Moves[Status] = {
    OperationFact.APPROVAL_REQUIRED: {S.PLANNED: S.AWAITING_APPROVAL},
    OperationFact.APPROVED: {S.PLANNED: S.APPROVED, S.AWAITING_APPROVAL: S.APPROVED},
    OperationFact.REJECTED: dict.fromkeys((S.PLANNED, S.AWAITING_APPROVAL, *_QUEUED), S.REJECTED),
    OperationFact.LAPSED: dict.fromkeys((S.PLANNED, S.AWAITING_APPROVAL, *_QUEUED), S.CANCELLED),
    OperationFact.READY: dict.fromkeys(_QUEUED, S.APPROVED),
    OperationFact.HELD: dict.fromkeys(_QUEUED, S.HELD),
    **MOVES_OF_SIGNED,
    OperationFact.ADOPTED: dict.fromkeys(
        (S.PLANNED, S.AWAITING_APPROVAL, *_QUEUED, S.REJECTED, S.CANCELLED, S.REVERTED), S.BROADCAST
    ),
}
