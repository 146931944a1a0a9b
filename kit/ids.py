"""Random ids and secrets with a prefix that says what they are."""

import base64
import os
from typing import Protocol


class Ids(Protocol):
    """Creates ids."""

    def new(self, prefix: str) -> str:
        """Return a new id that starts with `prefix`, such as `ons_`."""


class RandomIds:
    """Creates ids of 128 random bits from the operating system, in 32 hexadecimal characters."""

    def new(self, prefix: str) -> str:
        """Return `prefix` and 32 random hexadecimal characters. Nobody can guess an id: for some, knowing it gives access to what it names."""
        return prefix + os.urandom(16).hex()


def random_secret(prefix: str) -> str:
    """Return `prefix` and 256 random bits from the operating system. Logs and secret scanners recognize the prefix."""
    return prefix + base64.b32encode(os.urandom(32)).decode().lower().rstrip("=")
