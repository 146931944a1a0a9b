"""Messages reach a server that speaks SMTP over real sockets, and each refusal becomes the right result, without an address in it."""

import asyncio
import time
from pathlib import Path

import pytest

from kit.clock import SystemClock
from kit.mail.mailer import Mailer, Outcome, SendResult
from kit.mail.message import Attachment, Mailbox, Message
from kit.mail.server import SmtpServer, parse_smtp_url
from tests.support.certificates import Authority
from tests.support.fake_smtp import FakeSmtp, fake_smtp

BUYER = "buyer.person@example.test"
SENDER = Mailbox("orders@shop.example", "The Shop")
MESSAGE = Message("ons_1.paid@shop.example", Mailbox(BUYER), "Paid", "Hello\n.\nbye\n", "<p>Hello</p>")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def mailer(smtp: FakeSmtp, authority: Authority | None = None, *, timeout: float = 10, plain: bool = True) -> Mailer:
    tls = None if authority is None else authority.trusting()
    server = parse_smtp_url(smtp.url, allow_plain=plain and smtp.mode == "none")
    return Mailer(server, SENDER, SystemClock(), tls=tls, timeout=timeout)


async def test_a_message_arrives_whole() -> None:
    async with fake_smtp() as smtp:
        pdf = Attachment("receipt.pdf", "application/pdf", b"%PDF-1.7\r\n\x00\xff")
        message = Message(
            "a.b@shop.example", Mailbox(BUYER), "Bezahlt: 5 €", "Grüße\n.\nEnde\n", "<p>Grüße</p>", (pdf,)
        )
        assert await mailer(smtp).send(message) == SendResult(Outcome.SENT)
        (received,) = smtp.received
    assert (received.sender, received.recipient) == ("orders@shop.example", BUYER)
    head = received.message
    assert (head["Subject"], head["From"], head["To"]) == ("Bezahlt: 5 €", "The Shop <orders@shop.example>", BUYER)
    assert (head["Message-ID"], head["Auto-Submitted"]) == ("<a.b@shop.example>", "auto-generated")
    assert received.part("text/plain") == "Grüße\n.\nEnde\n" and received.part("text/html").strip() == "<p>Grüße</p>"
    (attached,) = head.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("receipt.pdf", pdf.content)


@pytest.mark.parametrize("mode", ["implicit", "starttls"])
async def test_credentials_are_sent_only_over_verified_tls(mode: str, authority: Authority) -> None:
    smtp = FakeSmtp(authority.serving(), "implicit" if mode == "implicit" else "starttls", {"user": "pass"})
    async with fake_smtp(smtp):
        assert await mailer(smtp, authority).send(MESSAGE) == SendResult(Outcome.SENT)
        assert await mailer(smtp, authority).probe() == SendResult(Outcome.SENT)
        assert [(item.login, item.encrypted) for item in smtp.received] == [("user", True)]
        unknown = await mailer(smtp, Authority(authority.folder)).send(MESSAGE)
    assert unknown.outcome == Outcome.MISCONFIGURED and "certificate is not valid" in unknown.reason
    assert len(smtp.received) == 1


@pytest.mark.parametrize(("name", "days"), [("other.example", 30), ("localhost", -1)])
async def test_a_wrong_or_expired_certificate_stops_the_mail(name: str, days: int, authority: Authority) -> None:
    smtp = FakeSmtp(authority.serving(name, days=days), "implicit")
    async with fake_smtp(smtp):
        result = await mailer(smtp, authority).send(MESSAGE)
    assert result.outcome == Outcome.MISCONFIGURED and smtp.attempts == []


async def test_a_server_without_starttls_is_not_used() -> None:
    async with fake_smtp() as smtp:
        result = await mailer(smtp, plain=False).send(MESSAGE)
    assert result.outcome == Outcome.MISCONFIGURED and "STARTTLS" in result.reason and smtp.attempts == []


SCRIPTED = [
    ({BUYER: f"550 5.1.1 <{BUYER}>: no such user"}, Outcome.REFUSED),
    ({BUYER: f"450 4.2.1 <{BUYER}>: greylisted"}, Outcome.TRY_AGAIN),
    ({BUYER: f"552 5.2.2 <{BUYER}>: mailbox full"}, Outcome.TRY_AGAIN),
    ({BUYER: "530 5.7.0 log in first"}, Outcome.MISCONFIGURED),
    ({"MAIL": "553 5.7.1 sender not owned"}, Outcome.MISCONFIGURED),
    ({"MAIL": "451 4.3.0 later"}, Outcome.TRY_AGAIN),
    ({"DATA": "451 4.3.0 later"}, Outcome.TRY_AGAIN),
    ({"END": "554 5.7.1 spam"}, Outcome.REFUSED),
    ({"END": "452 4.3.1 disk full"}, Outcome.TRY_AGAIN),
    ({"GREETING": "421 too many connections"}, Outcome.TRY_AGAIN),
]


@pytest.mark.parametrize(("replies", "outcome"), SCRIPTED)
async def test_a_refusal_is_temporary_final_or_a_matter_of_configuration(
    replies: dict[str, str], outcome: Outcome
) -> None:
    async with fake_smtp(FakeSmtp(replies=replies)) as smtp:
        result = await mailer(smtp).send(MESSAGE)
    assert result.outcome == outcome and result.reason and smtp.received == []
    assert "buyer" not in result.reason and "example" not in result.reason


async def test_a_refused_login_shows_neither_user_nor_password() -> None:
    async with fake_smtp(FakeSmtp(logins={"markeruser": "markerword"})) as smtp:
        server = SmtpServer("127.0.0.1", smtp.port, "none", "markeruser", "markerwrong")
        postman = Mailer(server, SENDER, SystemClock())
        result = await postman.send(MESSAGE)
    assert result.outcome == Outcome.MISCONFIGURED
    assert "marker" not in f"{result}{postman!r}{server!r}"


async def test_a_silent_server_costs_the_time_limit_and_no_more() -> None:
    async with fake_smtp(FakeSmtp(silent_at="RCPT")) as smtp:
        before = time.monotonic()
        result = await mailer(smtp, timeout=0.3).send(MESSAGE)
        assert result.outcome == Outcome.TRY_AGAIN and time.monotonic() - before < 3
        smtp.silent_at = "QUIT"
        assert await mailer(smtp, timeout=3).send(MESSAGE) == SendResult(Outcome.SENT)


async def test_a_connection_that_breaks_after_acceptance_is_tried_again() -> None:
    async with fake_smtp(FakeSmtp(drops_after_accepting=True)) as smtp:
        result = await mailer(smtp).send(MESSAGE)
        assert result.outcome == Outcome.TRY_AGAIN and len(smtp.received) == 1
    assert (await mailer(smtp, timeout=2).send(MESSAGE)).outcome == Outcome.TRY_AGAIN, "no server listens any more"


async def test_an_address_with_other_letters_needs_a_server_that_takes_it(tmp_path: Path) -> None:
    message = Message("c@shop.example", Mailbox("jürgen@bücher.example"), "Hallo", "Hallo\n")
    async with fake_smtp() as smtp:
        assert (await mailer(smtp).send(message)).outcome == Outcome.REFUSED
        smtp.extensions = ("8BITMIME", "SMTPUTF8")
        assert await mailer(smtp).send(message) == SendResult(Outcome.SENT)
    assert smtp.received[0].recipient == "jürgen@xn--bcher-kva.example"


async def test_messages_are_sent_side_by_side() -> None:
    async with fake_smtp() as smtp:
        results = await asyncio.gather(*(mailer(smtp).send(MESSAGE) for _ in range(5)))
    assert {result.outcome for result in results} == {Outcome.SENT} and len(smtp.received) == 5
