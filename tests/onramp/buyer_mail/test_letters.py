"""Each mail says, in the buyer's language, what happened and what to do; nothing in it is loaded from elsewhere or written by a stranger."""

import string
from dataclasses import fields, replace
from html.parser import HTMLParser
from typing import Any

import pytest

from kit.mail.message import Attachment, Mailbox, Message
from kit.money import Money
from onramp.buyer_mail.letters import Letterhead, letter
from onramp.buyer_mail.table import MailState
from onramp.buyer_mail.words.languages import LANGUAGES, language_of
from onramp.buyer_mail.words.texts import Texts
from onramp.sessions.buyer_context import LOCALES
from onramp.sessions.model import Session, from_inserted, intent_row
from onramp.sessions.status import DeliveryStatus
from tests.support.paid_sessions import OBSERVE_CONFIG
from tests.support.purchases import BUYER, NOW

TX = "0x" + "ab" * 32
HEAD = Letterhead(
    merchant="Müller & <Söhne>", support=Mailbox("help@shop.example"), sender_domain="shop.example",
    base_url="https://pay.shop.example", has_page=True, explorer="https://explorer.example",
)  # fmt: skip
TO = Mailbox("buyer@example.test")


def session(**changed: Any) -> Session:
    row = intent_row(
        OBSERVE_CONFIG, session_id="ons_4k", wallet=BUYER, source=Money(1_050_50, "eur"), fee_bps=0, created_at=NOW, now=NOW
    )  # fmt: skip
    made = from_inserted(
        row
        | {
            "tx_hash": TX,
            "received_units": 1_050_500_000_000_000_000_000,
            "return_url": "https://dapp.example/?a=1&b=2",
        }
    )
    return replace(made, delivery_status=DeliveryStatus.CONFIRMED, **changed)


def mail(state: MailState, locale: str | None = "en", head: Letterhead = HEAD, **changed: Any) -> Message:
    receipt = Attachment("receipt.pdf", "application/pdf", b"%PDF") if state is MailState.DELIVERED else None
    return letter(session(locale=locale, **changed), state, TO, head, receipt=receipt)


class Page(HTMLParser):
    """Collects what a mail program would show and follow."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.language = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        values = dict(attrs)
        if tag == "a":
            self.links.append(values["href"] or "")
        if tag == "html":
            self.language = values["lang"] or ""


def test_there_are_texts_for_every_language_and_each_uses_the_same_values() -> None:
    assert tuple(LANGUAGES) == LOCALES
    for field in fields(Texts):
        values = {
            tag: {name for _, name, _, _ in string.Formatter().parse(getattr(texts, field.name)) if name}
            for tag, texts in LANGUAGES.items()
        }
        assert set(map(frozenset, values.values())) == {frozenset(values["en"])}, (field.name, values)
    for name in ("paid", "attention", "because"):
        assert len({getattr(texts, name) for texts in LANGUAGES.values()}) == len(LOCALES), "translated"


@pytest.mark.parametrize(
    ("locale", "language"),
    [("de-CH", "de"), ("pt-PT", "pt-BR"), ("zh-Hant-TW", "zh-Hans"), ("ja", "ja"), (None, "en"), ("xx", "en"), ("en-GB", "en")],
)  # fmt: skip
def test_the_language_follows_the_buyers_locale(locale: str | None, language: str) -> None:
    assert language_of(locale) == language
    message = mail(MailState.PAID, locale)
    assert message.language == language and Page(message.html).language == language


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("state", MailState)
def test_every_mail_names_merchant_support_purchase_and_loads_nothing(state: MailState, locale: str) -> None:
    message = mail(state, locale)
    page = Page(message.html)
    for text in (message.text, message.html):
        assert "ons_4k" in text and "help@shop.example" in text and "{" not in text
    assert "Müller & <Söhne>" in message.text and "Müller &amp; &lt;Söhne&gt;" in message.html
    assert set(page.tags) <= {"html", "head", "meta", "title", "body", "p", "a", "hr", "small", "br"}
    assert page.attributes <= {"lang", "charset", "style", "href"} and "url(" not in message.html
    assert all(link in message.text for link in page.links)
    assert page.links[0] == "https://pay.shop.example/checkout/s/ons_4k"
    assert message.reply_to == HEAD.support and message.message_id == f"ons_4k.{state}@shop.example"


def test_a_delivery_has_amount_transaction_proof_and_receipt() -> None:
    message = mail(MailState.DELIVERED, "de")
    assert message.subject == "1050,50 MUSD sind in Ihrer Wallet angekommen" and BUYER in message.text
    assert Page(message.html).links[1:] == [
        f"https://explorer.example/tx/{TX}", "https://pay.shop.example/api/v1/onramp/sessions/ons_4k/delivery",
    ]  # fmt: skip
    assert [attachment.name for attachment in message.attachments] == ["receipt.pdf"]
    assert "Der Beleg liegt bei." in message.text


def test_a_payment_names_what_was_paid_and_nothing_of_a_delivery() -> None:
    message = mail(MailState.PAID, "en")
    assert "1050.50 EUR" in message.text and message.subject == "Müller & <Söhne>: your payment has arrived"
    assert TX not in message.text and message.attachments == () and len(Page(message.html).links) == 1


def test_without_a_page_of_ours_the_buyer_returns_to_the_dapp_or_nowhere() -> None:
    bare = replace(HEAD, has_page=False, explorer=None)
    assert Page(mail(MailState.ATTENTION, "fr", bare).html).links == ["https://dapp.example/?a=1&b=2"]
    assert Page(mail(MailState.ATTENTION, "fr", bare, return_url=None).html).links == []
    assert len(Page(mail(MailState.DELIVERED, "fr", bare, return_url=None).html).links) == 1
