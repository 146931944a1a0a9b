"""The count of answered: pure, no I/O.

One provider has one voice. An opinion wins when at least `needed` providers hold it and more hold it than hold all
other views together; while voices are outstanding it wins only if they could not change that. Silence is no voice.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Vote:
    """A running count; an opinion is any bytes that are equal when two providers say the same."""

    needed: int
    voices: dict[str, bytes] = field(default_factory=dict)

    def cast(self, provider: str, opinion: bytes) -> None:
        """Hear a provider; a second word of the same provider is not heard."""
        self.voices.setdefault(provider, opinion)

    def winner(self, outstanding: int = 0) -> bytes | None:
        """The opinion that has won, whatever the `outstanding` voices will say; None while it is open."""
        for opinion, count in Counter(self.voices.values()).most_common(1):
            otherwise = len(self.voices) - count + outstanding
            if count >= self.needed and count > otherwise:
                return opinion
        return None

    def leading(self) -> bytes | None:
        """The opinion with the most voices, and alone with that number; None where there is none."""
        ranked = Counter(self.voices.values()).most_common(2)
        if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
            return None
        return ranked[0][0]

    def holders(self, opinion: bytes) -> tuple[str, ...]:
        """The providers that hold an opinion, in the order they were heard."""
        return tuple(provider for provider, held in self.voices.items() if held == opinion)
