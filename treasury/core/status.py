"""The states that payouts, sweeps and transactions share, and the type of every transition table."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

State = TypeVar("State", bound=StrEnum)


class Status(StrEnum):
    """The state of an operation or transaction.

    `held` exists only before `signed`; after `signed` a status goes back only for a reorganisation, or if a failed payout is retried.
    """

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
"""The statuses in which signed bytes exist and the chain has not decided yet."""
ENDED = frozenset({Status.FINAL, Status.REJECTED, Status.CANCELLED, Status.REVERTED})
"""The statuses in which no amount is reserved for the row. Such rows accumulate for ever."""
OPEN = frozenset(Status) - ENDED
"""The statuses in which the row may still change by itself, or by a person's approval."""


Moves = Mapping[str, Mapping[State, State]]
"""For each fact: the states in which it is possible, and the state that each goes to; the same state if the fact changes nothing."""
