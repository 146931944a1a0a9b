"""The decisions of state machines."""

from enum import StrEnum

from kit.state import Moved, Refused, Same, decide


class Gate(StrEnum):
    OPEN = "open"
    SHUT = "shut"


MOVES = {"close": {Gate.OPEN: Gate.SHUT, Gate.SHUT: Gate.SHUT}, "open": {Gate.SHUT: Gate.OPEN}}


def test_a_fact_moves_the_state_repeats_it_or_is_refused() -> None:
    assert decide(MOVES, Gate.OPEN, "close") == Moved(Gate.SHUT)
    assert decide(MOVES, Gate.SHUT, "close") == Same(Gate.SHUT)
    assert decide(MOVES, Gate.OPEN, "open") == Refused("open is not possible while open")


def test_an_unknown_fact_is_refused_in_every_state() -> None:
    assert all(isinstance(decide(MOVES, state, "paint"), Refused) for state in Gate)
