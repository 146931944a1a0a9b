"""Count the votes of one quorum call: pure, no I/O.

Each provider has one vote. An answer wins when at least `needed` providers gave it and more gave it than gave all other
answers together. While votes are outstanding it wins only if they could not change that. Silence is not a vote.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Vote:
    """The votes of one call so far. Answers are bytes that are equal when two providers gave the same answer."""

    needed: int
    votes: dict[str, bytes] = field(default_factory=dict)

    def cast(self, provider: str, answer: bytes) -> None:
        """Count a provider's vote; a second vote of the same provider is ignored."""
        self.votes.setdefault(provider, answer)

    def winner(self, outstanding: int = 0) -> bytes | None:
        """Return the answer that has won whatever the `outstanding` votes will be; None while it is open."""
        for answer, count in Counter(self.votes.values()).most_common(1):
            others = len(self.votes) - count + outstanding
            if count >= self.needed and count > others:
                return answer
        return None

    def leading(self) -> bytes | None:
        """Return the answer with the most votes; None on a tie or without votes."""
        ranked = Counter(self.votes.values()).most_common(2)
        if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
            return None
        return ranked[0][0]

    def holders(self, answer: bytes) -> tuple[str, ...]:
        """Return the providers that gave this answer, in the order of their votes."""
        return tuple(provider for provider, vote in self.votes.items() if vote == answer)
