"""The interface of every signer, and the errors that it raises."""

from dataclasses import dataclass
from typing import Protocol

from chain.types import Address
from treasury.signers.intent import Intent


@dataclass(frozen=True, slots=True)
class Signed:
    """Signed bytes, their hash (0x and 64 hex digits), and the id of the request in the signer's own logs."""

    raw: bytes
    hash: str
    request_id: str


class SignerError(Exception):
    """The signer gives no signature; the message is a sentence for people."""


class SignerRefused(SignerError):
    """The intent breaks a limit, or the key is not the pinned one; retrying does not help."""


class WrongKey(SignerRefused):
    """The key is not the pinned wallet's, or the configured password does not open it; no request will ever succeed."""


class SignerUnavailable(SignerError):
    """The signer did not respond, or not in time; retrying may help."""


class Signer(Protocol):
    """A signer for one wallet: it holds the key, or has the right to use it."""

    @property
    def address(self) -> Address:
        """The wallet for which the signer signs, as the configuration pins it."""

    async def sign(self, intent: Intent) -> Signed:
        """Build, sign and check the transaction. Raises SignerError.

        Repeating a request may give another signature, so the caller must store the bytes before using them.
        """

    async def probe(self) -> None:
        """Check that the key exists and is the pinned one, without signing a transaction. Raises SignerError."""

    async def close(self) -> None:
        """Release connections, threads and keys. No method may be called afterwards."""
