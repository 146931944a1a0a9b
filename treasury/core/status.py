"""The states that payouts and transactions share, and how one of them is left."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Where an operation stands; `held` exists only before `signed`, and from there it only goes forward."""

    PLANNED = "planned"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    SIGNED = "signed"
    BROADCAST = "broadcast"
    MINED = "mined"
    FINAL = "final"
    HELD = "held"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    REVERTED = "reverted"


IN_FLIGHT = frozenset({Status.SIGNED, Status.BROADCAST, Status.MINED})
"""Signed bytes exist, and the chain has not had its last word."""


ENDED = frozenset({Status.FINAL, Status.REJECTED, Status.CANCELLED, Status.REVERTED})
"""Nothing is kept back for a row in one of these, and such rows gather for ever."""
OPEN = frozenset(Status) - ENDED
"""Something may still happen by itself, or by a person's approval."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The fact moves the row to `to`."""

    to: Status


@dataclass(frozen=True, slots=True)
class Same:
    """The fact was known already; nothing changes."""

    to: Status


@dataclass(frozen=True, slots=True)
class Refused:
    """The fact cannot be true of a row in this state."""

    reason: str


Moves = Mapping[str, Mapping[Status, Status]]
"""For each fact: the states in which it is possible, and the state that each goes to (itself: the fact changes nothing)."""


def decide(moves: Moves, state: Status, fact: str) -> Moved | Same | Refused:
    """Return what `fact` does to a row in `state`. Pure and total: a fact without moves is refused in every state."""
    target = moves.get(fact, {}).get(state)
    if target is None:
        return Refused(f"{fact} is not possible while {state}")
    return Same(target) if target is state else Moved(target)
