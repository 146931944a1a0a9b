"""The states of a resolution, which takes two persons. Pure: (state, fact) -> moved | same | refused."""

from enum import StrEnum

from treasury.core.status import Moves


class ResolutionStatus(StrEnum):
    """How many persons have explained an incident. The values are those of the API."""

    PROPOSED = "asked"
    """One person has explained it."""
    CONFIRMED = "answered"
    """A second person has confirmed that, and the incident is closed."""


class ResolutionFact(StrEnum):
    """What a person does."""

    PROPOSED = "proposed"
    """Explains the incident as the first person; again where more is missing than the last explanation covered."""
    CONFIRMED = "confirmed"
    """Confirms the explanation as the second person."""


MOVES: Moves[ResolutionStatus] = {
    ResolutionFact.PROPOSED: dict.fromkeys(ResolutionStatus, ResolutionStatus.PROPOSED),
    ResolutionFact.CONFIRMED: {ResolutionStatus.PROPOSED: ResolutionStatus.CONFIRMED},
}
