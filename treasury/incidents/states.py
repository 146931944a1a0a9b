"""The states of a resolution, which takes two persons. Pure: (state, fact) -> moved | same | refused."""

from enum import StrEnum

from treasury.core.status import Moves


class ResolutionStatus(StrEnum):
    """How far an incident is resolved. The values are those of the API."""

    PROPOSED = "asked"
    """One person has explained the incident."""
    CONFIRMED = "answered"
    """A second person has confirmed the explanation, and the incident is closed."""


class ResolutionFact(StrEnum):
    """A person's step in explaining an incident; MOVES says which status follows."""

    PROPOSED = "proposed"
    """A first person explains the incident, or a person does so anew because more is missing than the last explanation covered."""
    CONFIRMED = "confirmed"
    """A second person confirms the explanation."""


MOVES: Moves[ResolutionStatus] = {
    ResolutionFact.PROPOSED: dict.fromkeys(ResolutionStatus, ResolutionStatus.PROPOSED),
    ResolutionFact.CONFIRMED: {ResolutionStatus.PROPOSED: ResolutionStatus.CONFIRMED},
}
