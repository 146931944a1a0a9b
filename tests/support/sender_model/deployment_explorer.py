"""Breadth first through all states of several wallets and deployments; the first state that breaks a rule has the shortest history."""

from collections import deque
from collections.abc import Mapping

from tests.support.sender_model.deployments import (
    Everything,
    Label,
    Rule,
    initial,
    is_over,
    pays_twice,
    sentence,
    steps,
)


def explore(purchases: int, rules: frozenset[Rule]) -> tuple[int, list[str]]:
    """Visit every state, the nearest first. Return how many there are, and the shortest history that breaks a rule; empty if none does.

    A history breaks a rule if it ends in a second payment, or in a state from which a purchase can neither be paid nor be left to persons.
    """
    start = initial(purchases)
    parents: dict[Everything, tuple[Everything, Label] | None] = {start: None}
    before: dict[Everything, list[Everything]] = {start: []}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        for label, after in steps(state, rules):
            before.setdefault(after, []).append(state)
            if after in parents:
                continue
            parents[after] = (state, label)
            if pays_twice(after):
                return len(parents), _history(parents, after)
            queue.append(after)
    alive = {state for state in parents if is_over(state)}
    fresh = list(alive)
    while fresh:
        new = set(before[fresh.pop()]) - alive
        alive |= new
        fresh += new
    dead = next((state for state in parents if state not in alive), None)
    return len(parents), [] if dead is None else _history(parents, dead)


def _history(parents: Mapping[Everything, tuple[Everything, Label] | None], state: Everything) -> list[str]:
    sentences = []
    while (parent := parents[state]) is not None:
        state, label = parent
        sentences.append(sentence(label))
    return sentences[::-1]
