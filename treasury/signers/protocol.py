"""What every signer is, and how it says no."""

from dataclasses import dataclass
from typing import Protocol

from chain.types import Address
from treasury.signers.intent import Intent


@dataclass(frozen=True, slots=True)
class Signed:
    """Signed bytes, their hash (0x and 64 hex digits), and the id the signer knows the request by."""

    raw: bytes
    hash: str
    request_id: str


class SignerError(Exception):
    """No signature; the sentence is for people."""


class SignerRefused(SignerError):
    """The intent breaks a rule, or the key is not the pinned one: asking again will not help."""


class WrongKey(SignerRefused):
    """The key is not the pinned wallet's, or cannot be opened with what was configured: no signature will ever come."""


class SignerUnavailable(SignerError):
    """The signer did not answer, or not in time; asking again may help."""


class Signer(Protocol):
    """Holds one key, or the right to use it."""

    @property
    def address(self) -> Address:
        """The wallet it signs for, as pinned by the configuration."""

    async def sign(self, intent: Intent) -> Signed:
        """Build, sign and check the transaction. Raises SignerError.

        A repeated request may give another signature: whoever gets one must store the bytes before using them.
        """

    async def probe(self) -> None:
        """Prove that the key is there and is the pinned one, signing no transaction. Raises SignerError."""

    async def close(self) -> None:
        """Give back what was opened; nothing is asked of it afterwards."""
