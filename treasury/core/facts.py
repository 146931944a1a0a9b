"""The facts about a payout or a sweep. `payouts.states` and `sweeps.states` say to which state each fact moves a row."""

from enum import StrEnum
from typing import Final

from treasury.core.status import Moves, Status


class OperationFact(StrEnum):
    """A fact about an operation, which is a payout or a sweep. If a fact applies to one kind only, its text begins with that kind."""

    READY = "ready"
    """No check objects to the operation: it has a nonce, or queues for one again."""
    HELD = "held"
    """A check objects to the operation, so it is not signed."""
    APPROVAL_REQUIRED = "approval_required"
    """A person has to approve the operation."""
    APPROVED = "approved"
    """A person has approved the operation, or the policy asks for no approval of this sweep."""
    CLEARED = "cleared"
    """Payouts: a person lets the payout through although its recipient is on the sanctions list."""
    DELISTED = "delisted"
    """Payouts: the recipient is no longer on the sanctions list."""
    REJECTED = "rejected"
    """A person refused the operation. The buyer of a payout is unpaid."""
    LAPSED = "lapsed"
    """Sweeps: the wait for the approval or after it took too long, or what was approved is no longer true."""
    RETRIED = "retried"
    """Payouts: two persons want another attempt at a payout that failed or was rejected."""
    SETTLED = "settled"
    """Payouts: another transfer, which the chain has proved, paid the buyer."""
    CLOSED = "closed"
    """Payouts: the buyer was paid in a way that only people know of."""
    SIGNED = "signed"
    """Signed bytes for the operation are in the database."""
    BROADCAST = "broadcast"
    """At least one node has the operation's signed bytes."""
    MINED = "mined"
    """The operation's transaction is in a block."""
    PROVEN = "proven"
    """Enough providers agree on the block and on exactly the intended transfer."""
    REVERTED = "reverted"
    """The operation's transaction failed or can never be mined. The buyer of a payout is unpaid; persons decide."""
    REORGED = "reorged"
    """Enough providers agree on another block in place of the one with the operation's transaction."""
    ADOPTED = "adopted"
    """A transaction on chain carries the operation's reference: it was carried out, even if its row does not say so."""


_S = Status
MOVES_OF_SIGNED: Final[Moves[Status]] = {
    OperationFact.SIGNED: {_S.APPROVED: _S.SIGNED},
    OperationFact.BROADCAST: {_S.SIGNED: _S.BROADCAST, _S.BROADCAST: _S.BROADCAST},
    OperationFact.MINED: {_S.SIGNED: _S.MINED, _S.BROADCAST: _S.MINED, _S.MINED: _S.MINED},
    OperationFact.PROVEN: {_S.MINED: _S.FINAL, _S.FINAL: _S.FINAL},
    OperationFact.REVERTED: {_S.SIGNED: _S.REVERTED, _S.BROADCAST: _S.REVERTED, _S.MINED: _S.REVERTED},
    OperationFact.REORGED: {_S.MINED: _S.BROADCAST, _S.FINAL: _S.BROADCAST},
}
"""The moves from the signature on, which are those of payouts and of sweeps alike."""
