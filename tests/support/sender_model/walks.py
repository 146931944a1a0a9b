"""Random histories, lived by the model and the real sender together."""

import random
from collections.abc import Sequence

from tests.support.sender_model import leader
from tests.support.sender_model.engine import Engine, Label
from tests.support.sender_model.replay import Replay
from tests.support.sender_model.rules import ALL, Config, Fault, Feature
from tests.support.sender_model.state import Phase
from tests.support.treasury_world import TreasuryWorld

_FAULTS = {Fault.TAKEOVER: 2, Fault.CRASH: 2, Fault.FAILURE: 1}
_FEATURES = frozenset({Feature.FORGET, Feature.SIGNER_DOWN, Feature.LOST_BROADCAST})
_WEIGHTS = {"owe": 8, "mine": 8, "retry": 3, "resolve": 3}
"""How often something happens, compared with everything else that may."""


def config(seed: int, batch: int = 0) -> Config:
    """Return the bounds of a walk: each has one grave fault. `batch`: how many payouts one transaction pays through PayOnce."""
    grave: dict[Fault, int] = [{Fault.RESTORE: 1}, {Fault.FAILOVER: 1}, {Fault.STRANGER: 1}, {Fault.REORG: 1}][seed % 4]
    faults = _FAULTS | grave | ({Fault.REFUSAL: 1} if batch else {})
    kinds = ("payout",) * (2 + seed % 2)
    return Config(ALL, kinds=kinds, depth=1 + seed % 3, faults=faults, features=_FEATURES, batch=batch)


async def walk(world: TreasuryWorld, seed: int, steps: int, batch: int = 0) -> Replay:
    """Live a random history; return what was lived. Raises AssertionError where the sender does what the model does not."""
    rng = random.Random(seed)
    await world.forget()
    replay = Replay(Engine(config(seed, batch)), world, blocks=(0, 1, 3)[seed % 7 % 3])
    await replay.begin()
    try:
        for _ in range(steps):
            await _step(replay, rng)
        if seed % 5 < 2:
            # Not each: it takes as long as the walk.
            replay.blocks = 3
            await replay.settle()
    finally:
        await replay.end()
    return replay


async def _step(replay: Replay, rng: random.Random) -> None:
    state, roll = replay.state, rng.random()
    places = [place for place, entry in enumerate(state.leaders) if entry is not None]
    if leader.take_lease(replay.engine, state) is not None and (not places or roll < 0.1):
        await replay.lead()
    elif places and roll < 0.55:
        await _run(replay, rng, rng.choice(places))
    elif choices := replay.choices():
        await replay.happen(_chosen(choices, rng))


async def _run(replay: Replay, rng: random.Random, place: int) -> None:
    entry = replay.state.leaders[place]
    assert entry is not None
    if entry.phase is not Phase.IDLE and rng.random() < 0.15 and replay.engine.left(replay.state, Fault.CRASH):
        await replay.die(place)
        return
    signs = rng.choice([0, 1, 99, 99, 99]) if entry.phase is Phase.ALLOCATED else 99
    await replay.run(place, deaf=entry.phase is Phase.STORED and rng.random() < 0.2, signs=signs)


def _chosen(choices: Sequence[Label], rng: random.Random) -> Label:
    return rng.choices(choices, [_WEIGHTS.get(str(label[0]), 1) for label in choices])[0]
