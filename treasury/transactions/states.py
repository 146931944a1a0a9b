"""The life of a nonce. Pure: (state, fact) -> moved | same | refused.

A transaction starts `approved`: the checks passed, and it holds a nonce. Until bytes are stored nothing can have been
broadcast, so the nonce may be given back; afterwards only the chain decides.
"""

from enum import StrEnum

from treasury.core.status import Moves, Status

S = Status


class Fact(StrEnum):
    """What can become known about a transaction."""

    STORED = "stored"
    """Its signed bytes are in the database."""
    GIVEN_BACK = "given_back"
    """No bytes were stored; another operation may use the nonce."""
    BROADCAST = "broadcast"
    """At least one node has the bytes."""
    SEEN = "seen"
    """It is in a block."""
    PROVEN = "proven"
    """Enough operators agree on its block and on exactly the transfer that was meant."""
    REVERTED = "reverted"
    """Enough operators agree that it failed: the nonce is spent and nothing moved."""
    REORGED = "reorged"
    """Enough operators agree on another block where it was."""
    DISPLACED = "displaced"
    """Another transaction of the wallet took its nonce; this one can never be mined."""


MOVES: Moves = {
    Fact.STORED: {S.APPROVED: S.SIGNED},
    Fact.GIVEN_BACK: {S.APPROVED: S.CANCELLED},
    Fact.BROADCAST: {S.SIGNED: S.BROADCAST, S.BROADCAST: S.BROADCAST},
    Fact.SEEN: {S.SIGNED: S.MINED, S.BROADCAST: S.MINED, S.MINED: S.MINED},
    Fact.PROVEN: {S.MINED: S.FINAL, S.FINAL: S.FINAL},
    Fact.REVERTED: {S.SIGNED: S.REVERTED, S.BROADCAST: S.REVERTED, S.MINED: S.REVERTED},
    Fact.REORGED: {S.MINED: S.BROADCAST, S.FINAL: S.BROADCAST, S.REVERTED: S.BROADCAST},
    Fact.DISPLACED: {S.SIGNED: S.CANCELLED, S.BROADCAST: S.CANCELLED, S.MINED: S.CANCELLED},
}
