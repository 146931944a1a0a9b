"""An SMTP server that speaks the protocol over real sockets and keeps what it accepts."""

import asyncio
import base64
import email
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from typing import Literal


@dataclass(frozen=True, slots=True)
class Received:
    """A message that the server accepted, with its envelope."""

    sender: str
    recipient: str
    message: EmailMessage
    login: str
    encrypted: bool

    def part(self, kind: str) -> str:
        """Return the body of the first part of a media type, such as `text/plain`."""
        for part in self.message.walk():
            if part.get_content_type() == kind:
                return str(part.get_content()).replace("\r\n", "\n")
        raise AssertionError(f"no {kind} in the message")


@dataclass
class FakeSmtp:
    """What the server answers, and what it received. Change the fields at any time."""

    tls: ssl.SSLContext | None = None
    mode: Literal["implicit", "starttls", "none"] = "none"
    logins: dict[str, str] = field(default_factory=dict)
    """Passwords by user; with any, mail is taken only after a login."""
    replies: dict[str, str] = field(default_factory=dict)
    """A reply by verb (`MAIL`, `DATA`, `END` for the end of a message, `GREETING`), or by recipient's address."""
    silent_at: str = ""
    """The verb at which the server stops replying."""
    drops_after_accepting: bool = False
    """Whether the server closes the connection after it accepted a message, before it says so."""
    extensions: tuple[str, ...] = ("8BITMIME",)
    received: list[Received] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    """Each recipient that was named, accepted or not."""
    port: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        user = "".join(f"{name}:{password}@" for name, password in list(self.logins.items())[:1])
        return f"{'smtps' if self.mode == 'implicit' else 'smtp'}://{user}127.0.0.1:{self.port}"

    async def wait_for(self, count: int, seconds: float = 20) -> list[Received]:
        """Wait until this many messages were accepted, and return them."""
        async with asyncio.timeout(seconds):
            while len(self.received) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.received


@dataclass
class _Conversation:
    smtp: FakeSmtp
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    encrypted: bool
    login: str = ""
    sender: str = ""
    recipient: str = ""

    async def hold(self) -> None:
        await self.say(self.smtp.replies.get("GREETING", "220 fake ESMTP"))
        while line := (await self.reader.readline()).decode("utf-8", "replace").rstrip("\r\n"):
            verb = line.split(" ", 1)[0].upper()
            if verb == self.smtp.silent_at:
                await asyncio.sleep(3600)
            if verb == "QUIT":
                await self.say("221 bye")
                return
            await self.answer(verb, line)

    async def say(self, text: str) -> None:
        self.writer.write(text.encode() + b"\r\n")
        await self.writer.drain()

    async def answer(self, verb: str, line: str) -> None:
        handlers: dict[str, Callable[[str], Awaitable[str]]] = {
            "EHLO": self.hello, "STARTTLS": self.upgrade, "AUTH": self.authenticate, "MAIL": self.mail, "RCPT": self.rcpt, "DATA": self.data,
        }  # fmt: skip
        handler = handlers.get(verb)
        reply = self.smtp.replies.get(verb) or ("250 ok" if handler is None else await handler(line))
        if reply:
            await self.say(reply)

    async def hello(self, _line: str) -> str:
        offers = [*self.smtp.extensions]
        if self.smtp.mode == "starttls" and not self.encrypted:
            offers.append("STARTTLS")
        if self.smtp.logins and (self.encrypted or self.smtp.mode == "none"):
            offers.append("AUTH PLAIN")
        lines = ["fake", *offers]
        return "\r\n".join(f"250{' ' if line is lines[-1] else '-'}{line}" for line in lines)

    async def upgrade(self, _line: str) -> str:
        assert self.smtp.tls is not None
        await self.say("220 go ahead")
        await self.writer.start_tls(self.smtp.tls)
        self.encrypted = True
        return ""

    async def authenticate(self, line: str) -> str:
        _, user, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
        if self.smtp.logins.get(user) != password:
            return f"535 5.7.8 no such login: {user} {password}"
        self.login = user
        return "235 welcome"

    async def mail(self, line: str) -> str:
        if self.smtp.logins and not self.login:
            return "530 5.7.0 log in first"
        self.sender = line.split("<", 1)[1].split(">", 1)[0]
        return "250 ok"

    async def rcpt(self, line: str) -> str:
        self.recipient = line.split("<", 1)[1].split(">", 1)[0]
        self.smtp.attempts.append(self.recipient)
        return self.smtp.replies.get(self.recipient, "250 ok")

    async def data(self, _line: str) -> str:
        await self.say("354 send it")
        lines = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                return ""
            lines.append(line[1:] if line.startswith(b"..") else line)
        refusal = self.smtp.replies.get("END")
        if refusal is not None:
            return refusal
        message = email.message_from_bytes(b"".join(lines), policy=SMTP)
        self.smtp.received.append(Received(self.sender, self.recipient, message, self.login, self.encrypted))
        self.smtp.arrived.set()
        if self.smtp.drops_after_accepting:
            self.writer.close()
            return ""
        return "250 accepted"


@asynccontextmanager
async def fake_smtp(smtp: FakeSmtp | None = None) -> AsyncIterator[FakeSmtp]:
    """Serve `smtp` on a free port of 127.0.0.1 while the block runs."""
    smtp = smtp or FakeSmtp()
    tasks: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await _Conversation(smtp, reader, writer, encrypted=smtp.mode == "implicit").hold()
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=smtp.tls if smtp.mode == "implicit" else None)
    smtp.port = server.sockets[0].getsockname()[1]
    try:
        yield smtp
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
