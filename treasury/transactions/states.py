"""The states of a transaction, which holds one nonce. Pure: (state, fact) -> moved | same | refused.

A transaction starts `approved`: the checks passed, and it holds a nonce. Until its signed bytes are stored nothing can have been
broadcast, so the nonce may be released; afterwards only the chain decides.
"""

from enum import StrEnum

from treasury.core.status import Moves, Status

S = Status


class TransactionFact(StrEnum):
    """A fact about a transaction; MOVES says which status follows."""

    STORED = "stored"
    """The transaction's signed bytes are in the database."""
    NONCE_RELEASED = "nonce_released"
    """No bytes were stored; another operation may use the nonce."""
    BROADCAST = "broadcast"
    """At least one node has the bytes."""
    MINED = "mined"
    """The transaction is in a block."""
    PROVEN = "proven"
    """Enough providers agree on the transaction's block and on exactly the intended transfer."""
    REVERTED = "reverted"
    """Enough providers agree that the transaction failed: the nonce is spent and nothing moved."""
    REORGED = "reorged"
    """Enough providers agree on another block in place of the transaction's."""
    DISPLACED = "displaced"
    """Another transaction of the wallet took the nonce; this one can never be mined."""


MOVES: Moves[Status] = {
    TransactionFact.STORED: {S.APPROVED: S.SIGNED},
    TransactionFact.NONCE_RELEASED: {S.APPROVED: S.CANCELLED},
    TransactionFact.BROADCAST: {S.SIGNED: S.BROADCAST, S.BROADCAST: S.BROADCAST},
    TransactionFact.MINED: {S.SIGNED: S.MINED, S.BROADCAST: S.MINED, S.MINED: S.MINED},
    TransactionFact.PROVEN: {S.MINED: S.FINAL, S.FINAL: S.FINAL},
    TransactionFact.REVERTED: {S.SIGNED: S.REVERTED, S.BROADCAST: S.REVERTED, S.MINED: S.REVERTED},
    TransactionFact.REORGED: {S.MINED: S.BROADCAST, S.FINAL: S.BROADCAST, S.REVERTED: S.BROADCAST},
    TransactionFact.DISPLACED: {S.SIGNED: S.CANCELLED, S.BROADCAST: S.CANCELLED, S.MINED: S.CANCELLED},
}
