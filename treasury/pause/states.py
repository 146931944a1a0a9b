"""The states of one scope that can be paused. Pure: (state, fact) -> moved | same | refused."""

from enum import StrEnum

from treasury.core.status import Moves


class PauseStatus(StrEnum):
    """Whether a scope runs. A scope without a row runs."""

    PAUSED = "paused"
    RUNNING = "running"


class PauseFact(StrEnum):
    """What a person orders; the values are the actions in the audit log."""

    PAUSED = "pause"
    RESUMED = "resume"


MOVES: Moves[PauseStatus] = {
    PauseFact.PAUSED: dict.fromkeys(PauseStatus, PauseStatus.PAUSED),
    PauseFact.RESUMED: dict.fromkeys(PauseStatus, PauseStatus.RUNNING),
}
