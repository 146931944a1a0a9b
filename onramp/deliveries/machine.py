"""The states of a delivery, and the moves the chain's answer allows."""

from typing import Final

MOVES: Final[dict[str, frozenset[str]]] = {
    "seen": frozenset({"awaiting", "confirmed", "mismatch"}),
    "confirmed": frozenset({"awaiting", "seen", "mismatch"}),
    "mismatch": frozenset({"awaiting", "seen"}),
    "awaiting": frozenset({"seen"}),
}
"""New state -> the states it may follow. `confirmed` goes back to `seen` only when the chain itself took the block back; `seen` goes
back to `awaiting` when the transaction is gone; a `mismatch` is left when the transfer that was owed is proved after all."""


def may_follow(new: str) -> frozenset[str]:
    """The states that `new` may be reached from."""
    return MOVES[new]
