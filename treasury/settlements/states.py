"""The states of a USDC settlement. Pure: (state, fact) -> moved | same | refused."""

from enum import StrEnum

from treasury.core.status import Moves


class SettlementStatus(StrEnum):
    """How far a claim that USDC arrived has come."""

    AWAITING = "awaiting_approval"
    """One person claims it, and the chain has not shown it."""
    SETTLED = "settled"
    REVERSING = "reversal_awaiting_approval"
    """It still counts; one person wants it reversed."""
    REVERSED = "reversed"
    REJECTED = "rejected"


class SettlementFact(StrEnum):
    """What the chain shows or a person does."""

    CONFIRMED = "confirmed"
    """The chain shows the claim, or a second person makes it too."""
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
