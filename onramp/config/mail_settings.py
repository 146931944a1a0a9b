"""The settings of outgoing mail."""

from pydantic import BaseModel, Field, SecretStr

from kit.mail.message import Mailbox, parse_mailbox
from kit.mail.server import SmtpServer, parse_smtp_url
from onramp.config import fields


class MailSettings(BaseModel):
    """The variables of the mail server and the sender. A part of `Settings`."""

    SMTP_URL: fields.SmtpUrl = Field(
        default=SecretStr(""),
        description="The server that mail is handed to: `smtp://user:password@host:587`, which requires STARTTLS, or"
        " `smtps://user:password@host:465`. Its certificate is verified; a server on this machine needs no TLS in development. If empty, no mail"
        " is sent, see [Mail to buyers](deploying.md#mail-to-buyers).",
    )
    MAIL_FROM: fields.Sender = Field(
        default="",
        description="The sender of mail, such as `The Shop <orders@shop.example>`. Required with `SMTP_URL`.",
    )

    def mail_server(self, *, is_production: bool) -> SmtpServer | None:
        """Return the server of SMTP_URL; None if it is not set. Outside production, one on this machine is used without TLS."""
        url = self.SMTP_URL.get_secret_value()
        return parse_smtp_url(url, allow_plain=not is_production) if url else None

    @property
    def mail_sender(self) -> Mailbox | None:
        """The mailbox of MAIL_FROM; None if it is not set."""
        return parse_mailbox(self.MAIL_FROM) if self.MAIL_FROM else None

    def mail_problem(self) -> str | None:
        """Return why mail cannot be sent as configured; None if it can, or if none is to be sent."""
        if self.SMTP_URL.get_secret_value() and not self.MAIL_FROM:
            return "MAIL_FROM is missing: SMTP_URL sends mail, and every mail needs a sender"
        return None
