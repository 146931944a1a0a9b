"""What a node said otherwise than the others, until it takes it back.

A node that lies about receipts alone tells the truth about all else. So it comes back only when it says what the others say of the very
questions it was set aside for, and those are put to everyone again: nobody else may ever ask them.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from kit.clock import Clock

FIRST_WAIT: Final = 2.0
MAX_WAIT: Final = 30.0
"""Seconds between two times that it is asked again; doubled while it does not take it back."""
MAX_OPEN: Final = 8
"""Questions kept of one node: who lies about everything is asked about some of it."""
MAX_TRIES: Final = 6
"""Times that it is asked in vain, because it or the others have nothing to say any more. Silence is not dissent."""

REFUSED: Final = "refused"
"""What is kept of an answer that the contract refuses."""


@dataclass(slots=True)
class Disagreement:
    """A question, how answers to it are compared, and what this node answered."""

    method: str
    params: list[Any]
    needed: int
    key: Callable[[Any], Hashable]
    answer: Hashable
    tries: int = 0


class Disagreements:
    """What one node has yet to take back."""

    def __init__(self, clock: Clock) -> None:
        """It has said nothing otherwise yet."""
        self._clock = clock
        self._open: dict[bytes, Disagreement] = {}
        self._wait = FIRST_WAIT
        self._ask_at = 0.0

    def __bool__(self) -> bool:
        """Whether it has anything to take back."""
        return bool(self._open)

    @property
    def methods(self) -> tuple[str, ...]:
        """What it is about, in the names of JSON-RPC."""
        return tuple(dict.fromkeys(one.method for one in self._open.values()))

    def record(self, one: Disagreement) -> None:
        """It said otherwise; once more, where it had before."""
        subject = _subject(one.method, one.params)
        if not self._open:
            self._wait, self._ask_at = FIRST_WAIT, self._clock.monotonic() + FIRST_WAIT
        if subject in self._open or len(self._open) < MAX_OPEN:
            self._open[subject] = one

    def find(self, method: str, params: list[Any]) -> Disagreement | None:
        """What it said to this question, where that stands against the others."""
        return self._open.get(_subject(method, params))

    def resolve(self, method: str, params: list[Any]) -> bool:
        """It says what the others say, or nobody says anything any more. True where that was the last of it."""
        return self._open.pop(_subject(method, params), None) is not None and not self._open

    def recheck_now(self) -> None:
        """Its word is needed: ask at the next opportunity."""
        self._ask_at = self._clock.monotonic()

    def due(self) -> list[Disagreement]:
        """What to ask everyone again now."""
        now = self._clock.monotonic()
        if now < self._ask_at:
            return []
        self._ask_at, self._wait = now + self._wait, min(2 * self._wait, MAX_WAIT)
        for one in self._open.values():
            one.tries += 1
        return list(self._open.values())


def _subject(method: str, params: list[Any]) -> bytes:
    return orjson.dumps([method, params], option=orjson.OPT_SORT_KEYS)
