"""Render the receipt as a PDF of one page, with everything a reader needs to check it without this service.

The font is Helvetica, which every PDF reader includes. It covers the letters of western Europe only. A receipt that needs others, such as
a Polish, Turkish, Greek or Cyrillic merchant name, is set in Open Sans throughout, with the used glyphs embedded. A letter that Open Sans
lacks (Hebrew, Arabic, Chinese, Japanese, Korean, emoji) shows as U+FFFD, the replacement character; such a merchant should configure its
name in a script that Open Sans covers as well. The JSON receipt has every letter as it was configured.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from onramp.sessions.receipts import Receipt
from onramp.sessions.status import SessionStatus

_LEFT: Final = 20.0
_WIDTH: Final = 170.0
_LABEL: Final = 48.0
_INK, _SOFT, _LINE = (24, 28, 38), (104, 110, 124), (214, 217, 224)


def pdf(receipt: Receipt, *, confirmed_by: list[str]) -> bytes:
    """Return the PDF document, of one A4 page. `confirmed_by` are the node providers that agree on the transfer."""
    from fpdf import FPDF

    page = FPDF(format="A4")
    sheet = _Sheet(page, *_family(page, receipt.model_dump_json() + "".join(confirmed_by)))
    page.set_title(f"{_kind(receipt)} {receipt.session_id}")
    page.set_creator("Onramp")
    page.set_margins(_LEFT, 18, _LEFT)
    page.set_auto_page_break(auto=True, margin=18)
    page.add_page()
    sheet.head(receipt)
    musd = "not delivered yet" if receipt.musd_amount is None else f"{receipt.musd_amount} MUSD"
    currency = receipt.source_currency.upper()
    sheet.section("Purchase")
    sheet.row("Amount ordered", f"{receipt.source_amount} {currency}")
    if receipt.destination_amount is not None:
        sheet.row(
            "Delivered by Stripe",
            f"{receipt.destination_amount} {receipt.destination_currency.upper()} on {receipt.destination_network}",
        )
    if receipt.payout_fee is not None:
        sheet.row("Payout fee", f"{receipt.payout_fee} MUSD")
    sheet.row("MUSD received", musd, strong=True)
    sheet.note("Card and network fees are charged by Stripe in addition; Stripe's own receipt states them and any tax.")
    sheet.section("Delivery")
    sheet.row("To wallet", receipt.wallet_address, mono=True)
    sheet.row("Token contract", receipt.token, mono=True)
    sheet.row("Chain", f"Mezo, chain id {receipt.chain_id}")
    sheet.row("Transaction", receipt.tx_hash or "none yet", mono=receipt.tx_hash is not None)
    if receipt.block_number is not None:
        sheet.row("Block", str(receipt.block_number))
    if confirmed_by:
        sheet.row("Confirmed by nodes", ", ".join(confirmed_by))
    if receipt.explorer_url:
        sheet.row("Look it up", receipt.explorer_url, mono=True, link=receipt.explorer_url)
    sheet.section("References")
    sheet.row("Purchase number", receipt.session_id, mono=True)
    if receipt.stripe_session_id:
        sheet.row("Stripe session", receipt.stripe_session_id, mono=True)
    for label, time in (
        ("Ordered", receipt.created_at),
        ("Paid", receipt.paid_at),
        ("Delivered", receipt.confirmed_at),
    ):
        if time is not None:
            sheet.row(label, _readable(time))
    if receipt.support_email:
        sheet.note(f"Questions about this purchase: {receipt.support_email}")
    return bytes(page.output())


def _kind(receipt: Receipt) -> str:
    """Return the document's title: it is not called a receipt before anything was paid."""
    return "Order" if receipt.paid_at is None else "Receipt"


def _readable(time: str) -> str:
    return f"{time[:10]} {time[11:19]} UTC"


def _family(page: Any, text: str) -> tuple[str, dict[int, str]]:
    """Return a font family that shows this text, loaded into the page, and the replacement for each letter that it lacks."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        import ttf_opensans

        files = Path(ttf_opensans.__file__).parent / "ttf"
        page.add_font("OpenSans", "", files / "OpenSans-Regular.ttf")
        page.add_font("OpenSans", "B", files / "OpenSans-Bold.ttf")
        glyphs = page.fonts["opensans"].cmap
        return "OpenSans", {ord(letter): "\ufffd" for letter in text if ord(letter) not in glyphs}
    return "Helvetica", {}


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Writes the elements of the page from top to bottom."""

    page: Any
    family: str
    replacements: dict[int, str]

    def head(self, receipt: Receipt) -> None:
        """Write the title, the state of the purchase and the merchant."""
        is_completed = receipt.status == SessionStatus.COMPLETED
        state = "Paid and delivered" if is_completed else receipt.status.replace("_", " ").capitalize()
        self._font("B", 20, _INK)
        self.page.cell(_WIDTH / 2, 10, _kind(receipt))
        self._font("", 10, _SOFT)
        self.page.cell(_WIDTH / 2, 10, state, align="R", new_x="LMARGIN", new_y="NEXT")
        self.page.ln(2)
        if receipt.merchant_name:
            self._font("B", 11, _INK)
            self._lines(_WIDTH, 5.5, receipt.merchant_name)
        if receipt.merchant_address:
            self._font("", 10, _SOFT)
            self._lines(_WIDTH, 5, receipt.merchant_address)

    def section(self, title: str) -> None:
        """Write a section title with a line below it."""
        self.page.ln(6)
        self._font("B", 11, _INK)
        self.page.cell(_WIDTH, 7, title, new_x="LMARGIN", new_y="NEXT")
        self.page.set_draw_color(*_LINE)
        self.page.line(_LEFT, self.page.get_y(), _LEFT + _WIDTH, self.page.get_y())
        self.page.ln(1.5)

    def row(self, label: str, value: str, *, mono: bool = False, strong: bool = False, link: str = "") -> None:
        """Write a label and its value; `mono` sets ASCII values that people compare letter by letter in a fixed-width font."""
        self._font("", 10, _SOFT)
        self.page.cell(_LABEL, 6.2, label)
        self._font("B" if strong else "", 10, _INK)
        if mono:
            # 66 characters of a transaction's hash fit on one line at this size.
            self.page.set_font("Courier", "", 8.4)
        self._lines(_WIDTH - _LABEL, 6.2, value, link=link)

    def note(self, text: str) -> None:
        """Write a sentence in small print."""
        self.page.ln(2)
        self._font("", 8.5, _SOFT)
        self._lines(_WIDTH, 4.5, text)

    def _font(self, style: str, size: float, colour: tuple[int, int, int]) -> None:
        self.page.set_font(self.family, style, size)
        self.page.set_text_color(*colour)

    def _lines(self, width: float, height: float, text: str, *, link: str = "") -> None:
        self.page.multi_cell(
            width, height, text.translate(self.replacements), align="L", link=link, new_x="LMARGIN", new_y="NEXT"
        )
