"""Write the mail of one purchase in one state, as plain text and as HTML without images, scripts or anything that is loaded."""

from dataclasses import dataclass, field
from html import escape

from kit.mail.message import Attachment, Mailbox, Message
from kit.money import format_units
from onramp.buyer_mail.table import MailState
from onramp.buyer_mail.words.languages import LANGUAGES, language_of
from onramp.buyer_mail.words.texts import Texts
from onramp.sessions.model import FIAT_DECIMALS, Session
from onramp.sessions.schemas import explorer_link
from treasury.core.assets import MUSD_DECIMALS


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """What every mail of this deployment has in common."""

    merchant: str
    support: Mailbox = field(repr=False)
    sender_domain: str
    base_url: str
    """Where buyers reach this service, without a slash at the end."""
    has_page: bool
    """Whether the checkout page is served, so that a purchase has a page of its own."""
    explorer: str | None


def letter(
    session: Session, state: MailState, to: Mailbox, head: Letterhead, *, receipt: Attachment | None = None
) -> Message:
    """Return the mail in the buyer's language. `receipt` is attached to the mail of a delivery."""
    language = language_of(session.locale)
    texts = LANGUAGES[language]
    subject, paragraphs = _content(session, state, texts, head, is_attached=receipt is not None)
    links = _links(session, state, texts, head)
    footer = [
        texts.purchase.format(id=session.id),
        texts.support.format(support=head.support.address),
        texts.because.format(merchant=head.merchant),
    ]
    return Message(
        # One id for all attempts, so that a mail program can drop a second copy.
        message_id=f"{session.id}.{state}@{head.sender_domain}",
        to=to,
        subject=subject,
        text=_text(head.merchant, [texts.greeting, *paragraphs], links, footer),
        html=_html(language, subject, head.merchant, [texts.greeting, *paragraphs], links, footer),
        attachments=() if receipt is None else (receipt,),
        reply_to=head.support,
        language=language,
    )


def _content(
    session: Session, state: MailState, texts: Texts, head: Letterhead, *, is_attached: bool
) -> tuple[str, list[str]]:
    """Return the subject and the paragraphs."""
    if state is MailState.PAID:
        amount = f"{_number(session.source_minor, FIAT_DECIMALS, texts)} {session.source_currency.upper()}"
        paid = texts.paid.format(amount=amount, wallet=session.wallet_address)
        return texts.paid_subject.format(merchant=head.merchant), [paid]
    if state is MailState.ATTENTION:
        return texts.attention_subject.format(merchant=head.merchant), [texts.attention.format(id=session.id)]
    musd = f"{_number(session.received_units or 0, MUSD_DECIMALS, texts)} MUSD"
    delivered = texts.delivered.format(musd=musd, wallet=session.wallet_address)
    return texts.delivered_subject.format(musd=musd), [delivered, *([texts.receipt_attached] if is_attached else [])]


def _links(session: Session, state: MailState, texts: Texts, head: Letterhead) -> list[tuple[str, str]]:
    """Return labels and URLs: the page of the purchase, or where the dApp takes its buyer back, and, once delivered, transaction and proof."""
    page = f"{head.base_url}/checkout/s/{session.id}" if head.has_page else session.return_url
    links = [(texts.follow, page)] if page else []
    if state is MailState.DELIVERED:
        if (transaction := explorer_link(head.explorer, session.tx_hash)) is not None:
            links.append((texts.transaction, transaction))
        links.append((texts.proof, f"{head.base_url}/api/v1/onramp/sessions/{session.id}/delivery"))
    return links


def _number(units: int, decimals: int, texts: Texts) -> str:
    """Return an amount with this language's decimal mark: exact, and with at least two decimals."""
    return format_units(units, decimals).replace(".", texts.decimal_mark)


def _text(merchant: str, paragraphs: list[str], links: list[tuple[str, str]], footer: list[str]) -> str:
    blocks = [*paragraphs, *(f"{label}:\n{url}" for label, url in links), merchant, "-- \n" + "\n".join(footer)]
    return "\n\n".join(blocks) + "\n"


def _html(
    language: str, subject: str, merchant: str, paragraphs: list[str], links: list[tuple[str, str]], footer: list[str]
) -> str:
    lines = [f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs]
    lines += [f'<p><a href="{escape(url)}">{escape(label)}</a></p>' for label, url in links]
    small = "<br>".join(escape(line) for line in footer)
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head><meta charset="utf-8"><title>{escape(subject)}</title></head>\n'
        '<body style="font-family: sans-serif; line-height: 1.5; max-width: 36em; overflow-wrap: anywhere">\n'
        + "\n".join(lines)
        + f"\n<p>{escape(merchant)}</p>\n<hr>\n<p><small>{small}</small></p>\n</body>\n</html>\n"
    )
