"""The decision of a state machine about a fact: the row moves, stays as it is, or the fact is refused.

A machine is a pure function `(state, fact) -> Decision`. The caller writes the new state by compare-and-set (`kit.db.cas`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

State = TypeVar("State", bound=str)
Status = TypeVar("Status", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Moved(Generic[State]):
    """The fact moves the row to the state `to`."""

    to: State


@dataclass(frozen=True, slots=True)
class Same(Generic[State]):
    """The fact adds nothing; the row stays in its state, which is `to`."""

    to: State


@dataclass(frozen=True, slots=True)
class Refused:
    """The fact contradicts the row's state, which is kept. `reason` is for logs and for people."""

    reason: str


Decision = Moved[State] | Same[State] | Refused


def decide(moves: Mapping[str, Mapping[Status, Status]], state: Status, fact: str) -> Decision[Status]:
    """Return what `fact` does to a row in `state`. Pure and total: a fact without moves is refused in every state.

    `moves`: fact -> the states in which it is possible, each with the state it leads to; that is the same state if the fact is known already.
    """
    target = moves.get(fact, {}).get(state)
    if target is None:
        return Refused(f"{fact} is not possible while {state}")
    return Same(target) if target is state else Moved(target)
