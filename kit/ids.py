"""Ids that say what they name and cannot be guessed."""

import base64
import secrets
from typing import Protocol


class Ids(Protocol):
    """Where new ids come from."""

    def new(self, prefix: str) -> str:
        """A fresh id that starts with `prefix`, such as `ons_`."""


class RandomIds:
    """130 random bits from the operating system, in 26 lower-case base32 characters."""

    def new(self, prefix: str) -> str:
        """A fresh id; whoever holds one of these may read what it names, so it must not be guessable."""
        return prefix + base64.b32encode(secrets.token_bytes(17)).decode().lower()[:26]
