"""The message that a wallet signs (EIP-4361), and Mezo Passport's variant of it for bitcoin wallets, which has no chain id. Pure.

https://eips.ethereum.org/EIPS/eip-4361. Only the text that `render` writes is accepted: nothing is guessed or trimmed.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from urllib.parse import urlsplit

from chain.signatures.bitcoin import looks_bitcoin
from chain.types import is_address, to_checksum

MAX_LENGTH: Final = 4096
MAX_CLOCK_LEAD: Final = timedelta(minutes=5)
"""How far a wallet's clock may be ahead of the service's."""
_TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)"
_PATTERN: Final = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?P<domain>[!-~]+?) wants you to sign in with your (?P<network>Ethereum|Bitcoin) account:\n"
    r"(?P<address>[0-9A-Za-z]{14,100})\n\n(?:(?P<statement>[ -~]+)\n)?\n"
    r"URI: (?P<uri>[!-~]+)\nVersion: (?P<version>1)\n(?:Chain ID: (?P<chain_id>[1-9][0-9]{0,18})\n)?"
    r"Nonce: (?P<nonce>[A-Za-z0-9]{8,64})\n"
    rf"Issued At: (?P<issued_at>{_TIME})(?:\nExpiration Time: (?P<expires_at>{_TIME}))?(?:\nNot Before: (?P<not_before>{_TIME}))?"
    r"(?:\nRequest ID: (?P<request_id>[!-~]*))?(?P<resources>\nResources:(?:\n- [!-~]+)*)?",
    re.ASCII,
)
_NONCE_LINE: Final = re.compile(r"^Nonce: ([A-Za-z0-9]{8,64})\s*$", re.MULTILINE | re.ASCII)


class MessageError(ValueError):
    """The message cannot be used to log in; the text says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """A login message; each part is kept as text, so that it renders exactly as it was read."""

    domain: str
    network: Literal["Ethereum", "Bitcoin"]
    address: str
    uri: str
    nonce: str
    issued_at: str
    chain_id: int | None = None
    statement: str | None = None
    expires_at: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: tuple[str, ...] | None = None
    scheme: str | None = None


def render(message: Message) -> str:
    """Return the text of the message, which the wallet signs."""
    lines = [
        (f"{message.scheme}://" if message.scheme else "")
        + f"{message.domain} wants you to sign in with your {message.network} account:",
        message.address,
        "",
        *([message.statement] if message.statement is not None else []),
        "",
        f"URI: {message.uri}",
        "Version: 1",
        *([f"Chain ID: {message.chain_id}"] if message.chain_id is not None else []),
        f"Nonce: {message.nonce}",
        f"Issued At: {message.issued_at}",
    ]
    optional = (
        ("Expiration Time", message.expires_at), ("Not Before", message.not_before), ("Request ID", message.request_id)
    )  # fmt: skip
    lines += [f"{name}: {value}" for name, value in optional if value is not None]
    if message.resources is not None:
        lines += ["Resources:", *(f"- {resource}" for resource in message.resources)]
    return "\n".join(lines)


def parse(text: str) -> Message:
    """Parse a message; the result renders to the same text. Raises MessageError."""
    match = _PATTERN.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if match is None:
        raise MessageError("The message does not have the form of EIP-4361: ask for a new one, and sign it unchanged.")
    part = match.groupdict()
    is_bitcoin = part["network"] == "Bitcoin"
    if is_bitcoin != looks_bitcoin(part["address"]) or is_bitcoin == (part["chain_id"] is not None):
        raise MessageError("The message mixes Ethereum's form and Bitcoin's.")
    if not is_bitcoin and (not is_address(part["address"]) or to_checksum(part["address"]) != part["address"]):
        raise MessageError("The address in the message must have its EIP-55 capitals.")
    if set(part["domain"]) & set("/?#@") or not _is_uri(part["uri"]):
        raise MessageError("The message's domain or URI is invalid.")
    resources = part["resources"]
    message = Message(
        domain=part["domain"],
        network="Bitcoin" if is_bitcoin else "Ethereum",
        address=part["address"],
        uri=part["uri"],
        nonce=part["nonce"],
        issued_at=part["issued_at"],
        chain_id=int(part["chain_id"]) if part["chain_id"] else None,
        statement=part["statement"],
        expires_at=part["expires_at"],
        not_before=part["not_before"],
        request_id=part["request_id"],
        resources=None if resources is None else tuple(line[2:] for line in resources.split("\n")[2:]),
        scheme=part["scheme"],
    )
    for time in (message.issued_at, message.expires_at, message.not_before):
        if time is not None:
            _moment(time)
    return message


def check(message: Message, *, origin: str, chain_id: int, now: datetime, lifetime: timedelta) -> None:
    """Raise MessageError unless the message is for this site (`origin`) and `chain_id`, lists no resources, and is valid at `now`."""
    parts = urlsplit(origin)
    if message.domain != parts.netloc or message.scheme not in {None, parts.scheme}:
        raise MessageError("The message was made for another site.")
    at = urlsplit(message.uri)
    if (at.scheme, at.netloc) != (parts.scheme, parts.netloc):
        raise MessageError("The URI in the message belongs to another site.")
    if message.chain_id not in {None, chain_id}:
        raise MessageError(f"The message is for another chain than {chain_id}.")
    if message.resources is not None:
        # This service uses no resources, and a list of them may grant rights to others (EIP-5573) while the signer expects only a login.
        raise MessageError("A login here takes no resources: ask for a new message, and sign it unchanged.")
    issued = _moment(message.issued_at)
    if issued > now + MAX_CLOCK_LEAD or (message.not_before is not None and _moment(message.not_before) > now):
        raise MessageError("The message is not valid yet.")
    if issued + lifetime < now or (message.expires_at is not None and _moment(message.expires_at) <= now):
        raise MessageError("The message has expired: ask for a new one.")


def nonce_in(text: str) -> str | None:
    """Return the nonce of a message that may be invalid otherwise, so that a failed login uses it up; None if the text contains no nonce."""
    match = _NONCE_LINE.search(text[:MAX_LENGTH])
    return match[1] if match else None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        moment.timestamp()
    except (ValueError, OverflowError) as error:
        raise MessageError("The message contains an invalid timestamp.") from error
    return moment


def _is_uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)
