"""The states that payouts, sweeps and transactions share, and the type of their transition tables."""

from collections.abc import Mapping
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


Moves = Mapping[str, Mapping[Status, Status]]
"""For each fact: the states in which it is possible, and the state that each goes to (itself: the fact changes nothing)."""
