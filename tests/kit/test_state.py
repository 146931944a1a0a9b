"""The decisions of state machines."""

from enum import StrEnum

from kit.state import Moved, Refused, Same, decide


class Door(StrEnum):
    OPEN = "open"
    SHUT = "shut"


MOVES = {"close": {Door.OPEN: Door.SHUT, Door.SHUT: Door.SHUT}, "open": {Door.SHUT: Door.OPEN}}


def test_a_fact_moves_the_state_repeats_it_or_is_refused() -> None:
    assert decide(MOVES, Door.OPEN, "close") == Moved(Door.SHUT)
    assert decide(MOVES, Door.SHUT, "close") == Same(Door.SHUT)
    assert decide(MOVES, Door.OPEN, "open") == Refused("open is not possible while open")


def test_an_unknown_fact_is_refused_in_every_state() -> None:
    assert all(isinstance(decide(MOVES, state, "paint"), Refused) for state in Door)
