"""Live a history that the model found on the real sender, as far as the sender goes along with it."""

from collections.abc import Sequence

from tests.support.sender_model import leader
from tests.support.sender_model.engine import Engine, Label
from tests.support.sender_model.replay import Replay
from tests.support.sender_model.rules import Config, Fault
from tests.support.sender_model.state import Phase
from tests.support.treasury_world import TreasuryWorld

_BEGINS_AT = {
    "store": Phase.ALLOCATED,
    "signer_down": Phase.ALLOCATED,
    "broadcast": Phase.STORED,
    "lose_broadcast": Phase.STORED,
    "record": Phase.SENT,
}
"""By step of a process inside a cycle: the gate at which it stands before. Every other step begins a cycle."""


async def live(world: TreasuryWorld, config: Config, history: Sequence[Label], *, blocks: int = 3) -> Replay:
    """Let everything around the sender happen as in `history`, and let its processes run where the history lets them.

    What is not possible any more, because the sender did something else, is left out. Raises AssertionError where the sender does what the
    model does not.
    """
    await world.forget()
    replay = Replay(Engine(config), world, blocks=blocks)
    await replay.begin()
    try:
        for label in history:
            await _step(replay, label)
    finally:
        await replay.end()
    return replay


async def _step(replay: Replay, label: Label) -> None:
    kind, state = str(label[0]), replay.state
    places = {entry.phase: place for place, entry in enumerate(state.leaders) if entry is not None}
    if kind == "lead":
        if leader.take_lease(replay.engine, state) is not None:
            await replay.lead()
    elif kind == "crash":
        phase = next(phase for phase in Phase if phase == label[1])
        if phase in places and replay.engine.left(state, Fault.CRASH):
            await replay.die(places[phase])
    elif label in replay.choices():
        await replay.happen(label)
    elif (place := places.get(_BEGINS_AT.get(kind, Phase.IDLE))) is not None:
        signs = 0 if kind == "signer_down" else 99
        await replay.run(place, deaf=kind == "lose_broadcast", signs=signs)
