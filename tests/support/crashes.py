"""End the sender at one of its checkpoints, as a crash of the process would."""

from collections.abc import Callable

import pytest

from treasury.sender import CHECKPOINTS

AROUND_THE_SIGNATURE = [
    name if name in {"nonce_taken", "signed", "stored"} else pytest.param(name, marks=pytest.mark.prove)
    for name in CHECKPOINTS
]
"""The checkpoints where a crash is most dangerous; `make prove` runs the others, too."""


class Crash(BaseException):
    """Raised at a checkpoint to end the process there."""


def crash_at(name: str) -> Callable[[str], None]:
    """Return a `checkpoint` that crashes at `name`."""

    def checkpoint(reached: str) -> None:
        if reached == name:
            raise Crash(name)

    return checkpoint
