"""Hand messages to an SMTP server, with one of four results.

No result or error holds an address, a credential or a text of the server, which often repeats the recipient's address.
"""

import asyncio
import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kit.clock import Clock
from kit.mail.message import Mailbox, Message, to_mime
from kit.mail.server import SmtpServer

TIMEOUT_SECONDS: Final = 30.0
"""Seconds that one attempt may take, from the name lookup to the server's last reply."""
_MAILBOX_FULL: Final = 552
"""The 5xx reply to a recipient that counts as temporary (RFC 5321, 4.5.3.1.10)."""
_LOGIN_REQUIRED: Final = frozenset({530, 535, 538})


class Outcome(StrEnum):
    """What became of a message."""

    SENT = "sent"
    """The server has accepted it."""
    REFUSED = "refused"
    """The server refuses this recipient or this message for good; others may well be accepted."""
    TRY_AGAIN = "try_again"
    """There was no connection, no reply in time, or a temporary refusal."""
    MISCONFIGURED = "misconfigured"
    """The server refuses credentials or sender, or its TLS is not acceptable: nothing can be sent until a person acts."""


@dataclass(frozen=True, slots=True)
class SendResult:
    """The outcome of one attempt, and why, in words for an operator."""

    outcome: Outcome
    reason: str = ""


class Mailer:
    """Sends messages through one server, each over a connection of its own. The repr shows host and port only."""

    def __init__(
        self,
        server: SmtpServer,
        sender: Mailbox,
        clock: Clock,
        *,
        tls: ssl.SSLContext | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        """Prepare to send from `sender`. `tls` verifies the server's certificate; by default, it trusts the system's authorities."""
        self._server = server
        self._sender = sender
        self._clock = clock
        self._tls = tls
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"Mailer({self.place})"

    @property
    def place(self) -> str:
        """The server's host and port, for people."""
        return f"{self._server.host}:{self._server.port}"

    async def send(self, message: Message) -> SendResult:
        """Hand a message to the server. Every failure of network and server is a result; a message that cannot be written raises ValueError.

        TRY_AGAIN does not prove that the server has not accepted the message: the connection may break before its reply arrives.
        """
        mime = to_mime(message, self._sender, self._clock.now()).as_bytes()
        sender, recipient = self._sender.on_the_wire, message.to.on_the_wire
        return await self._attempt(lambda connection: _hand_over(connection, sender, recipient, mime))

    async def probe(self) -> SendResult:
        """Connect, start TLS and log in, without sending. SENT means that all of it succeeded."""
        return await self._attempt(lambda _: SendResult(Outcome.SENT))

    async def _attempt(self, work: "Callable[[_Connection], SendResult]") -> SendResult:
        tls = self._tls or ssl.create_default_context()
        connection = _Connection(self._server, tls, self._sender.domain, self._timeout)
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.to_thread(_run, connection, work)
        except TimeoutError:
            return SendResult(Outcome.TRY_AGAIN, f"the mail server did not finish within {self._timeout:g} s")
        finally:
            connection.abort()


class _Connection(smtplib.SMTP):
    """A connection that another thread can end at any time, which `smtplib` alone does not offer."""

    def __init__(self, server: SmtpServer, tls: ssl.SSLContext, own_name: str, timeout: float) -> None:
        super().__init__(local_hostname=own_name, timeout=timeout)
        self._server = server
        self._tls = tls
        self._handle: socket.socket | None = None
        self._is_aborted = False

    def open(self) -> None:
        """Connect, start TLS as the server's URL says, and log in. Raises OSError, SMTPException."""
        self._host = self._server.host  # the name that the certificate is verified for
        code, _ = self.connect(self._server.host, self._server.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, b"")
        self.ehlo_or_helo_if_needed()
        if self._server.tls == "starttls":
            self.starttls(context=self._tls)
            self.ehlo_or_helo_if_needed()
        if self._server.user:
            self.login(self._server.user, self._server.password)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Return the connected socket, as `smtplib` asks its subclasses for it."""
        raw = socket.create_connection((host, port), timeout)
        # A second handle of the same connection stays usable whatever TLS wraps around the first.
        self._handle = raw.dup()
        if self._is_aborted:
            raw.close()
            raise TimeoutError
        return self._tls.wrap_socket(raw, server_hostname=host) if self._server.tls == "implicit" else raw

    def abort(self) -> None:
        """End the connection at once, if it is still open; a thread that waits for it returns with an error."""
        self._is_aborted = True
        if self._handle is not None:
            with suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)
            self._handle.close()


def _run(connection: _Connection, work: Callable[[_Connection], SendResult]) -> SendResult:
    """Open the connection, do the work and close it; return the failure as a result."""
    try:
        connection.open()
        result = work(connection)
    except smtplib.SMTPAuthenticationError as error:
        return _reply(
            "the mail server refuses the user or password of SMTP_URL", error.smtp_code, Outcome.MISCONFIGURED
        )
    except smtplib.SMTPNotSupportedError:
        return SendResult(
            Outcome.MISCONFIGURED, "the mail server offers no STARTTLS, or no login, and mail is not sent without them"
        )
    except smtplib.SMTPResponseException as error:
        return SendResult(Outcome.TRY_AGAIN, f"the mail server replied {error.smtp_code}")
    except smtplib.SMTPServerDisconnected:
        return SendResult(Outcome.TRY_AGAIN, "the mail server closed the connection")
    except smtplib.SMTPException as error:
        return SendResult(
            Outcome.MISCONFIGURED, f"the mail server and this service share no way to log in ({type(error).__name__})"
        )
    except ssl.SSLCertVerificationError as error:
        return SendResult(
            Outcome.MISCONFIGURED, f"the mail server's certificate is not valid: {error.verify_message.rstrip('.')}"
        )
    except ssl.SSLError as error:
        return SendResult(
            Outcome.TRY_AGAIN, f"TLS with the mail server failed: {error.reason or 'the connection ended'}"
        )
    except OSError as error:
        return SendResult(
            Outcome.TRY_AGAIN, f"the mail server cannot be reached: {error.strerror or type(error).__name__}"
        )
    finally:
        # The reply to QUIT is not waited for: a server that stalls there has accepted the message already.
        with suppress(OSError, smtplib.SMTPException):
            connection.putcmd("quit")
        connection.close()
    return result


def _hand_over(connection: _Connection, sender: str, recipient: str, mime: bytes) -> SendResult:
    """Send one message over an open connection. Raises OSError, SMTPException."""
    options = []
    if not recipient.isascii():
        if not connection.has_extn("smtputf8"):
            return SendResult(Outcome.REFUSED, "the mail server takes only ASCII addresses")
        options = ["SMTPUTF8", "BODY=8BITMIME"]
    code, _ = connection.mail(sender, options)
    if code != 250:
        return _reply("the mail server refuses MAIL_FROM as the sender", code, Outcome.MISCONFIGURED)
    code, _ = connection.rcpt(recipient)
    if code in _LOGIN_REQUIRED:
        return _reply("the mail server wants a login before it takes mail", code, Outcome.MISCONFIGURED)
    if code not in {250, 251, 252}:
        permanent = Outcome.TRY_AGAIN if code == _MAILBOX_FULL else Outcome.REFUSED
        return _reply("the mail server refuses the recipient", code, permanent)
    try:
        code, _ = connection.data(mime)
    except smtplib.SMTPDataError as error:
        code = error.smtp_code
    return (
        SendResult(Outcome.SENT)
        if code == 250
        else _reply("the mail server refuses the message", code, Outcome.REFUSED)
    )


def _reply(text: str, code: int, permanent: Outcome) -> SendResult:
    """Return the result of a refusal: temporary unless the reply is 5xx."""
    return SendResult(permanent if code >= 500 else Outcome.TRY_AGAIN, f"{text} (reply {code})")
