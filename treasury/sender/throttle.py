"""Limit how often the sender repeats an action."""

from dataclasses import dataclass, field

from kit.clock import Clock

_MAX_THROTTLED = 1_000
"""How many throttle entries are kept before those that have expired are dropped."""


@dataclass(slots=True)
class Throttle:
    """Limits how often an action is repeated. Kept in memory: after a restart each action may run once more."""

    clock: Clock
    _due_at: dict[str, float] = field(default_factory=dict)

    def due(self, key: str, seconds: float) -> bool:
        """Return whether the action `key` may run now, at most once in `seconds`; a True result starts the next wait."""
        now = self.clock.monotonic()
        if self.is_waiting(key):
            return False
        if len(self._due_at) > _MAX_THROTTLED:
            self._due_at = {key: moment for key, moment in self._due_at.items() if moment > now}
        self._due_at[key] = now + seconds
        return True

    def postpone(self, key: str, seconds: float) -> None:
        """Postpone the action `key` by `seconds`, overriding any earlier schedule."""
        self._due_at[key] = self.clock.monotonic() + seconds

    def is_waiting(self, key: str) -> bool:
        """Return whether the action `key` may not run yet, without starting a wait."""
        return self._due_at.get(key, float("-inf")) > self.clock.monotonic()
