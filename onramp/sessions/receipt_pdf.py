"""The receipt on paper: one page that a person files, with everything needed to check it without us.

Set in Helvetica, which every PDF reader brings. It has the letters of western Europe alone: where a receipt needs others, such as
a Polish, Turkish, Greek or Cyrillic name of the merchant, all of it is set in Open Sans, whose used letters are embedded.
A letter that Open Sans does not have (Hebrew, Arabic, Chinese, Japanese, Korean, emoji) shows as U+FFFD, the mark for one that
is missing: such a merchant gives its name in one of those scripts, too. The JSON receipt has every letter as it was given.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from onramp.sessions.receipts import Receipt

_LEFT: Final = 20.0
_WIDTH: Final = 170.0
_LABEL: Final = 48.0
_INK, _SOFT, _LINE = (24, 28, 38), (104, 110, 124), (214, 217, 224)


def pdf(receipt: Receipt, *, confirmed_by: list[str]) -> bytes:
    """The document, A4. `confirmed_by`: the node operators that agreed."""
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
    """No paper is called a receipt before anything was paid."""
    return "Order" if receipt.paid_at is None else "Receipt"


def _readable(time: str) -> str:
    return f"{time[:10]} {time[11:19]} UTC"


def _family(page: Any, text: str) -> tuple[str, dict[int, str]]:
    """The family that shows this text, made known to the page; and what stands for each letter that it does not have."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        import ttf_opensans

        files = Path(ttf_opensans.__file__).parent / "ttf"
        page.add_font("OpenSans", "", files / "OpenSans-Regular.ttf")
        page.add_font("OpenSans", "B", files / "OpenSans-Bold.ttf")
        has = page.fonts["opensans"].cmap
        return "OpenSans", {ord(letter): "\ufffd" for letter in text if ord(letter) not in has}
    return "Helvetica", {}


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The page, and what stands on it from top to bottom."""

    page: Any
    family: str
    instead: dict[int, str]

    def head(self, receipt: Receipt) -> None:
        """What this is, and whose."""
        state = {"completed": "Paid and delivered"}.get(receipt.status, receipt.status.replace("_", " ").capitalize())
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
        """A title over a line."""
        self.page.ln(6)
        self._font("B", 11, _INK)
        self.page.cell(_WIDTH, 7, title, new_x="LMARGIN", new_y="NEXT")
        self.page.set_draw_color(*_LINE)
        self.page.line(_LEFT, self.page.get_y(), _LEFT + _WIDTH, self.page.get_y())
        self.page.ln(1.5)

    def row(self, label: str, value: str, *, mono: bool = False, strong: bool = False, link: str = "") -> None:
        """A label, and its value beside it; `mono`: letters and digits to be compared with others, ASCII alone."""
        self._font("", 10, _SOFT)
        self.page.cell(_LABEL, 6.2, label)
        self._font("B" if strong else "", 10, _INK)
        if mono:
            # 66 characters of a transaction's hash fit on one line at this size.
            self.page.set_font("Courier", "", 8.4)
        self._lines(_WIDTH - _LABEL, 6.2, value, link=link)

    def note(self, text: str) -> None:
        """A sentence in small print."""
        self.page.ln(2)
        self._font("", 8.5, _SOFT)
        self._lines(_WIDTH, 4.5, text)

    def _font(self, style: str, size: float, colour: tuple[int, int, int]) -> None:
        self.page.set_font(self.family, style, size)
        self.page.set_text_color(*colour)

    def _lines(self, width: float, height: float, text: str, *, link: str = "") -> None:
        shown = text.translate(self.instead)
        self.page.multi_cell(width, height, shown, align="L", link=link, new_x="LMARGIN", new_y="NEXT")
