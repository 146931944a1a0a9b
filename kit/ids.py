"""Ids and secrets that say what they are and cannot be guessed."""

import base64
import os
from typing import Protocol


class Ids(Protocol):
    """Where new ids come from."""

    def new(self, prefix: str) -> str:
        """A fresh id that starts with `prefix`, such as `ons_`."""


class RandomIds:
    """128 random bits from the operating system, in 32 hexadecimal characters."""

    def new(self, prefix: str) -> str:
        """A fresh id; whoever holds one of these may read what it names, so it must not be guessable."""
        return prefix + os.urandom(16).hex()


def random_secret(prefix: str) -> str:
    """256 random bits from the operating system behind `prefix`, by which logs and scanners know a secret."""
    return prefix + base64.b32encode(os.urandom(32)).decode().lower().rstrip("=")
