"""The states of one scope that can be paused. Pure: (state, fact) -> moved | same | refused."""

from enum import StrEnum

from treasury.core.status import Moves


class PauseStatus(StrEnum):
    """Whether a scope is paused. A scope without a row is not."""

    PAUSED = "paused"
    RUNNING = "running"


class PauseFact(StrEnum):
    """A person's order to pause or resume a scope. The values are the action names in the audit log."""

    PAUSED = "pause"
    RESUMED = "resume"


MOVES: Moves[PauseStatus] = {
    PauseFact.PAUSED: dict.fromkeys(PauseStatus, PauseStatus.PAUSED),
    PauseFact.RESUMED: dict.fromkeys(PauseStatus, PauseStatus.RUNNING),
}
