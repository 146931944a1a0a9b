"""The states of a USDC settlement. Pure: (state, fact) -> moved | same | refused."""

from enum import StrEnum

from treasury.core.status import Moves


class SettlementStatus(StrEnum):
    """The status of one claim that USDC arrived."""

    AWAITING = "awaiting_approval"
    """One person made the claim, and the chain has not shown the transfer."""
    SETTLED = "settled"
    REVERSING = "reversal_awaiting_approval"
    """The claim still counts; one person wants it reversed."""
    REVERSED = "reversed"
    REJECTED = "rejected"


class SettlementFact(StrEnum):
    """What can happen to a settlement, by the chain or by a person; MOVES says which status follows."""

    CONFIRMED = "confirmed"
    """The chain shows the claimed transfer, or a second person makes the same claim."""
    REJECTED = "rejected"
    """A person refuses a claim that waits."""
    REVERSAL_PROPOSED = "reversal_proposed"
    REVERSED = "reversed"
    """A second person wants the reversal."""
    REVERSAL_REJECTED = "reversal_rejected"
    """A person refuses a reversal that waits."""


_S = SettlementStatus
MOVES: Moves[SettlementStatus] = {
    SettlementFact.CONFIRMED: {_S.AWAITING: _S.SETTLED},
    SettlementFact.REJECTED: {_S.AWAITING: _S.REJECTED},
    SettlementFact.REVERSAL_PROPOSED: {_S.SETTLED: _S.REVERSING},
    SettlementFact.REVERSED: {_S.REVERSING: _S.REVERSED},
    SettlementFact.REVERSAL_REJECTED: {_S.REVERSING: _S.SETTLED},
}
