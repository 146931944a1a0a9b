"""One message for one recipient, which no text of a stranger can turn into another message.

Headers are built by the standard library from values without control characters, and an address holds none of the characters that end it.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from typing import Final

_ADDRESS: Final = re.compile(r"[^\s@<>()\[\]\\,;:\"\x00-\x20\x7f-\xa0]+@[^\s@<>()\[\]\\,;:\"\x00-\x20\x7f-\xa0]+")
_MAILBOX: Final = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]+)>")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MAX_ADDRESS: Final = 254
"""The longest address in characters (RFC 5321, 4.5.3.1.3, without the angle brackets)."""


class InvalidAddressError(ValueError):
    """A text is not one mail address. The message does not repeat it."""

    def __init__(self) -> None:
        super().__init__("takes one e-mail address such as help@shop.example")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address, and the name shown beside it. The repr shows neither."""

    address: str = field(repr=False)
    name: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Raise InvalidAddressError for anything but one plain address."""
        if not _ADDRESS.fullmatch(self.address) or len(self.on_the_wire) > _MAX_ADDRESS:
            raise InvalidAddressError

    @property
    def domain(self) -> str:
        """The part behind the @, in the ASCII form of a name with other letters. Raises InvalidAddressError if it has none."""
        try:
            return self.address.rpartition("@")[2].encode("idna").decode("ascii")
        except UnicodeError:
            raise InvalidAddressError from None

    @property
    def on_the_wire(self) -> str:
        """The address with its domain in ASCII; other letters before the @ remain."""
        return f"{self.address.rpartition('@')[0]}@{self.domain}"


def parse_mailbox(text: str) -> Mailbox:
    """Return the mailbox of `help@shop.example` or `The Shop <help@shop.example>`. Raises InvalidAddressError."""
    match = _MAILBOX.fullmatch(text.strip())
    if match is None:
        return Mailbox(text.strip())
    name = match["name"].strip()
    if _CONTROL.search(name):
        raise InvalidAddressError
    return Mailbox(match["address"].strip(), name.strip('"'))


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that a message carries."""

    name: str
    """The file name, in ASCII letters, digits, `.`, `_` and `-`."""
    media_type: str
    """Such as `application/pdf`."""
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to one recipient. The repr shows the id alone."""

    message_id: str
    """The same for every attempt to send this message, so that a mail program can drop a second copy. ASCII, without angle brackets."""
    to: Mailbox = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    """The message as plain text; lines end in a line feed."""
    html: str = field(default="", repr=False)
    """The same message as HTML; empty if there is only text."""
    attachments: tuple[Attachment, ...] = field(default=(), repr=False)
    reply_to: Mailbox | None = field(default=None, repr=False)
    language: str = "en"
    """The language of the text, a BCP 47 tag."""


def to_mime(message: Message, sender: Mailbox, at: datetime) -> EmailMessage:
    """Return the message in the form of RFC 5322. Control characters in the subject and in names become blanks.

    Raises ValueError for a message id, language or attachment that is not plain ASCII.
    """
    # Encoded to ASCII, so that every server takes it; only an address with other letters needs more.
    policy = SMTP if message.to.on_the_wire.isascii() else SMTPUTF8
    mime = EmailMessage(policy=policy.clone(cte_type="7bit"))
    mime["Date"] = format_datetime(at)
    mime["Message-ID"] = f"<{_plain(message.message_id)}>"
    mime["From"] = _header(sender)
    mime["To"] = _header(message.to)
    if message.reply_to is not None:
        mime["Reply-To"] = _header(message.reply_to)
    mime["Subject"] = _line(message.subject)
    mime["Content-Language"] = _plain(message.language)
    # Holiday replies and list software stay silent (RFC 3834).
    mime["Auto-Submitted"] = "auto-generated"
    mime.set_content(message.text)
    if message.html:
        mime.add_alternative(message.html, subtype="html")
    for attachment in message.attachments:
        kind, _, subtype = _plain(attachment.media_type).partition("/")
        mime.add_attachment(attachment.content, maintype=kind, subtype=subtype, filename=_plain(attachment.name))
    return mime


def _header(mailbox: Mailbox) -> Address:
    local, _, domain = mailbox.on_the_wire.rpartition("@")
    return Address(_line(mailbox.name), local, domain)


def _line(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text).split())


def _plain(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._@/+-]+", text):
        raise ValueError("takes ASCII letters, digits and ._@/+- only")
    return text
