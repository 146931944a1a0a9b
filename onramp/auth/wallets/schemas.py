"""Request and response models of the login."""

from typing import Annotated

from pydantic import AfterValidator, Field

from chain.signatures.bitcoin import looks_bitcoin, parse_address
from chain.types import to_checksum
from kit.http.documents import Document
from onramp.auth.wallets.message import MAX_LENGTH


def _wallet(text: str) -> str:
    return parse_address(text).text if looks_bitcoin(text) else to_checksum(text)


class AskNonce(Document):
    """The request for a message to sign: the wallet that wants to log in."""

    address: Annotated[str, Field(max_length=100), AfterValidator(_wallet)] = Field(
        description="A 0x address, or a bitcoin address of Mezo Passport (legacy, nested or native SegWit)."
    )


class NonceResponse(Document):
    """The response with the message to sign."""

    nonce: str
    message: str
    expires_at: str


class Login(Document):
    """The request to log in: the message, unchanged, and its signature."""

    message: Annotated[str, Field(max_length=MAX_LENGTH)]
    signature: Annotated[str, Field(max_length=40_000)]


class LoginResponse(Document):
    """The response with a token, and the 0x address that owns the deliveries."""

    token: str
    expires_at: str
    address: str


class LogoutResponse(Document):
    """The response that names the wallet whose tokens ended."""

    address: str
