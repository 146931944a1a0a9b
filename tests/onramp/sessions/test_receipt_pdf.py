"""The PDF receipt shows every letter of the merchant's name."""

import re
import zlib

import pytest

from onramp.sessions import receipt_pdf
from onramp.sessions.receipts import Receipt

RECEIPT = Receipt(
    session_id="ons_7f3kq9x2m4b8v6c1", status="completed", merchant_name="Shop", merchant_address="1 High Street",
    support_email="help@shop.example", wallet_address="0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", source_amount="100.00",
    source_currency="usd", destination_amount="99.50", destination_currency="usdc", destination_network="ethereum",
    payout_fee="0.50", musd_amount="99.00", chain_id=31611, token="0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503",
    tx_hash="0x" + "ab" * 32, block_number=15_937_001, explorer_url="https://explorer.example/tx/0x" + "ab" * 32,
    stripe_session_id="cos_1PzQYR2e", created_at="2026-11-21T10:00:00Z", paid_at="2026-11-21T10:01:00Z",
    confirmed_at="2026-11-21T10:02:00Z",
)  # fmt: skip


def pdf(**changed: str | None) -> bytes:
    document = receipt_pdf.pdf(RECEIPT.model_copy(update=changed), confirmed_by=["alpha", "beta"])
    assert document.count(b"/Type /Page\n") == 1, "one page"
    return document


def letters(document: bytes) -> set[str]:
    """Return the letters that a reader can copy from the embedded fonts, by their ToUnicode tables."""
    tables = re.findall(rb"beginbfchar\n(.*?)endbfchar", document, re.DOTALL)
    pairs = [pair for table in tables for pair in re.findall(rb"<\w+> <(\w+)>", table)]
    return {bytes.fromhex(pair.decode()).decode("utf-16-be") for pair in pairs}


@pytest.mark.parametrize("field", ["merchant_name", "merchant_address", "support_email"])
@pytest.mark.parametrize(
    "text",
    ["Żółta Łódź – Usługi Płatnicze", "Işık Şirketi", "Ελληνικά Νομίσματα", "Обменник «Жёлтый Їжак»", "Bob’s € shop"],
    ids=["Polish", "Turkish", "Greek", "Cyrillic", "punctuation"],
)
def test_every_letter_is_embedded(field: str, text: str) -> None:
    shown = letters(pdf(**{field: text}))
    assert shown >= set(text) - {" "} and "\ufffd" not in shown


def test_a_letter_that_no_font_has_is_marked_as_missing() -> None:
    shown = letters(pdf(merchant_name="株式会社 שלום Łódź"))
    assert shown >= set("Łódź\ufffd") and not shown & set("株式会社שלום")


def shown(document: bytes, text: str) -> bool:
    """Return whether a text in Latin script is on the page."""
    streams = re.findall(rb"/FlateDecode.*?\nstream\n(.*?)\nendstream", document, re.DOTALL)
    return any(text.encode("latin-1") in zlib.decompress(stream) for stream in streams)


def test_a_western_receipt_embeds_nothing() -> None:
    document = pdf(merchant_name="Café Zürich")
    assert b"FontFile" not in document
    assert shown(document, "Café Zürich")


def test_no_paper_is_called_a_receipt_before_anything_was_paid() -> None:
    unpaid = pdf(status="awaiting_payment", paid_at=None, confirmed_at=None)
    assert shown(unpaid, "(Order)") and not shown(unpaid, "(Receipt)")
    assert shown(pdf(), "(Receipt)") and not shown(pdf(), "(Order)")


def test_a_long_name_and_address_take_lines_of_their_own() -> None:
    pdf(
        merchant_name="Przedsiębiorstwo Handlowo-Usługowe " * 8, merchant_address="ul. Świętokrzyska, " * 12 + "x" * 150
    )
