"""The answers of one node that contradict the others, until it gives the agreed answer.

A node may forge receipts and answer everything else correctly. So a quarantined node is trusted again only when it gives the agreed answer to
exactly the calls it was quarantined for. Those calls are repeated at every node, because nothing else may ever send them again.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from kit.clock import Clock

FIRST_WAIT: Final = 2.0
MAX_WAIT: Final = 30.0
"""The longest pause in seconds between two repetitions of the calls; the pause doubles up to this while the node keeps its answer."""
MAX_OPEN: Final = 8
"""The most calls remembered for one node. A node that contradicts everything is asked again about these only."""
MAX_TRIES: Final = 6
"""Repetitions without any answer from the node or from the others, after which a call is dropped. Silence is not a contradiction."""

REFUSED: Final = "refused"
"""The key that stands for a revert among the answers."""


@dataclass(slots=True)
class Disagreement:
    """A call that a node answered differently: how answers to it are compared (`key`), and the key of the node's own answer."""

    method: str
    params: list[Any]
    needed: int
    key: Callable[[Any], Hashable]
    answer: Hashable
    tries: int = 0
    said: str = ""
    """The node's answer as text for people, at most some thousand characters."""
    agreed: str = ""
    """The agreed answer, likewise."""
    agreed_by: tuple[str, ...] = ()
    """The providers that gave the agreed answer."""
    since: datetime | None = None
    """When the difference was first seen; `Disagreements.record` sets it."""


class Disagreements:
    """The contradictions that one node has not resolved yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[bytes, Disagreement] = {}
        self._wait = FIRST_WAIT
        self._ask_at = 0.0

    def __bool__(self) -> bool:
        """Return whether the node has contradictions that are not resolved."""
        return bool(self._open)

    @property
    def methods(self) -> tuple[str, ...]:
        """The JSON-RPC methods of the unresolved calls."""
        return tuple(dict.fromkeys(entry.method for entry in self._open.values()))

    @property
    def unresolved(self) -> tuple[Disagreement, ...]:
        """The calls that are not resolved, the earliest first."""
        return tuple(self._open.values())

    def record(self, disagreement: Disagreement) -> None:
        """Record a disagreement; one about the same call (method and params) replaces the earlier record. With MAX_OPEN calls open, another is dropped."""
        subject = _subject(disagreement.method, disagreement.params)
        earlier = self._open.get(subject)
        disagreement.since = self._clock.now() if earlier is None else earlier.since
        if not self._open:
            self._wait, self._ask_at = FIRST_WAIT, self._clock.monotonic() + FIRST_WAIT
        if subject in self._open or len(self._open) < MAX_OPEN:
            self._open[subject] = disagreement

    def find(self, method: str, params: list[Any]) -> Disagreement | None:
        """Return the disagreement about this call if it is unresolved, else None."""
        return self._open.get(_subject(method, params))

    def resolve(self, method: str, params: list[Any]) -> bool:
        """Remove the disagreement about this call, if there is one. Return True if it was the node's last one."""
        return self._open.pop(_subject(method, params), None) is not None and not self._open

    def recheck_now(self) -> None:
        """Make the next `due` return all disagreements at once, because this node's vote is needed."""
        self._ask_at = self._clock.monotonic()

    def due(self) -> list[Disagreement]:
        """Return the calls to repeat now: all that are open, once the pause since the last repetition is over, else none."""
        now = self._clock.monotonic()
        if now < self._ask_at:
            return []
        self._ask_at, self._wait = now + self._wait, min(2 * self._wait, MAX_WAIT)
        for disagreement in self._open.values():
            disagreement.tries += 1
        return list(self._open.values())


def _subject(method: str, params: list[Any]) -> bytes:
    return orjson.dumps([method, params], option=orjson.OPT_SORT_KEYS)
