"""Breadth first through all states of a configuration; the first state that breaks an invariant has the shortest history."""

import gc
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.support.sender_model import environment, invariants, leader
from tests.support.sender_model.engine import Engine, Label, Step
from tests.support.sender_model.rules import Config
from tests.support.sender_model.state import World


@dataclass(frozen=True)
class Violation:
    """A broken invariant, with the shortest history that leads there."""

    invariant: str
    history: tuple[Label, ...]


@dataclass
class Result:
    """What an exhaustive run found."""

    engine: Engine
    states: dict[World, int] = field(default_factory=dict)
    """Each state with its number, in the order in which they were found."""
    violations: list[Violation] = field(default_factory=list)
    parents: list[tuple[int, Label]] = field(default_factory=list)
    before: list[list[int]] = field(default_factory=list)
    """By state: the states that lead to it."""

    names: set[object] = field(default_factory=set)
    """The name of every step that was possible somewhere."""

    def history(self, number: int) -> tuple[Label, ...]:
        """Return the shortest history of a state."""
        labels: list[Label] = []
        while number:
            number, label = self.parents[number]
            labels.append(label)
        return tuple(reversed(labels))


def successors(engine: Engine, world: World) -> Iterator[Step]:
    """Yield every step that is possible, with the state it leads to."""
    yield from leader.steps(engine, world)
    yield from environment.steps(engine, world)


def explore(config: Config, *, first_only: bool = True, limit: int = 2_000_000) -> Result:
    """Visit every state. `first_only`: end at the first state that breaks an invariant.

    Raises MemoryError beyond `limit` states: an exhaustive run has to end.
    """
    # States hold no cycles, and the collector would go through all of them again and again.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _explore(config, first_only=first_only, limit=limit)
    finally:
        if was_enabled:
            gc.enable()


def _explore(config: Config, *, first_only: bool, limit: int) -> Result:
    engine = Engine(config)
    result = Result(engine)
    start = engine.initial()
    result.states[start] = 0
    result.parents.append((0, ()))
    result.before.append([])
    queue = deque([start])
    while queue:
        world = queue.popleft()
        number = result.states[world]
        for label, reached in successors(engine, world):
            result.names.add(label[0])
            after = engine.canonical(reached)
            known = result.states.get(after)
            if known is not None:
                result.before[known].append(number)
                continue
            place = result.states[after] = len(result.parents)
            if place > limit:
                raise MemoryError(f"more than {limit} states")
            result.parents.append((number, label))
            result.before.append([number])
            broken = invariants.broken(engine, world, label, after)
            if broken:
                result.violations.append(Violation(broken, result.history(place)))
                if first_only:
                    return result
                continue
            queue.append(after)
    return result


def dead_ends(result: Result) -> list[Violation]:
    """Return the states, the first found first, from which some owed operation can no longer be paid or made good."""
    numbered = list(result.states)
    good = [number for number, world in enumerate(numbered) if invariants.is_settled(result.engine, world)]
    alive = set(good)
    while good:
        for number in result.before[good.pop()]:
            if number not in alive:
                alive.add(number)
                good.append(number)
    dead = [number for number in range(len(numbered)) if number not in alive]
    return [Violation(invariants.STILL_PAYABLE, result.history(number)) for number in dead]
