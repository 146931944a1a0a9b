"""The receipt on paper: one page that a person files, with everything needed to check it without us."""

from typing import Any, Final

from onramp.sessions.receipts import Receipt

_LEFT: Final = 20.0
_WIDTH: Final = 170.0
_LABEL: Final = 48.0
_INK, _SOFT, _LINE = (24, 28, 38), (104, 110, 124), (214, 217, 224)


def _latin(text: str) -> str:
    """As the fonts that every PDF reader brings can show it."""
    return text.encode("latin-1", "replace").decode("latin-1")


def pdf(receipt: Receipt, *, confirmed_by: list[str]) -> bytes:
    """The document, A4. `confirmed_by`: the node operators that agreed."""
    from fpdf import FPDF

    page = FPDF(format="A4")
    page.set_title(f"Receipt {receipt.session_id}")
    page.set_creator("Onramp")
    page.set_margins(_LEFT, 18, _LEFT)
    page.set_auto_page_break(auto=True, margin=18)
    page.add_page()
    _head(page, receipt)
    musd = "not delivered yet" if receipt.musd_amount is None else f"{receipt.musd_amount} MUSD"
    currency = receipt.source_currency.upper()
    _section(page, "Purchase")
    _row(page, "Amount ordered", f"{receipt.source_amount} {currency}")
    if receipt.destination_amount is not None:
        _row(
            page,
            "Delivered by Stripe",
            f"{receipt.destination_amount} {receipt.destination_currency.upper()} on {receipt.destination_network}",
        )
    if receipt.payout_fee is not None:
        _row(page, "Payout fee", f"{receipt.payout_fee} MUSD")
    _row(page, "MUSD received", musd, strong=True)
    _note(
        page, "Card and network fees are charged by Stripe in addition; Stripe's own receipt states them and any tax."
    )
    _section(page, "Delivery")
    _row(page, "To wallet", receipt.wallet_address, mono=True)
    _row(page, "Token contract", receipt.token, mono=True)
    _row(page, "Chain", f"Mezo, chain id {receipt.chain_id}")
    _row(page, "Transaction", receipt.tx_hash or "none yet", mono=receipt.tx_hash is not None)
    if receipt.block_number is not None:
        _row(page, "Block", str(receipt.block_number))
    if confirmed_by:
        _row(page, "Confirmed by nodes", ", ".join(confirmed_by))
    if receipt.explorer_url:
        _row(page, "Look it up", receipt.explorer_url, link=receipt.explorer_url)
    _section(page, "References")
    _row(page, "Purchase number", receipt.session_id, mono=True)
    if receipt.stripe_session_id:
        _row(page, "Stripe session", receipt.stripe_session_id, mono=True)
    for label, time in (
        ("Ordered", receipt.created_at),
        ("Paid", receipt.paid_at),
        ("Delivered", receipt.confirmed_at),
    ):
        if time is not None:
            _row(page, label, _readable(time))
    if receipt.support_email:
        _note(page, f"Questions about this purchase: {receipt.support_email}")
    return bytes(page.output())


def _readable(time: str) -> str:
    return f"{time[:10]} {time[11:19]} UTC"


def _head(page: Any, receipt: Receipt) -> None:
    page.set_text_color(*_INK)
    page.set_font("Helvetica", "B", 20)
    page.cell(_WIDTH / 2, 10, "Receipt")
    page.set_font("Helvetica", "", 10)
    page.set_text_color(*_SOFT)
    state = {"completed": "Paid and delivered"}.get(receipt.status, receipt.status.replace("_", " ").capitalize())
    page.cell(_WIDTH / 2, 10, state, align="R", new_x="LMARGIN", new_y="NEXT")
    page.ln(2)
    if receipt.merchant_name:
        page.set_text_color(*_INK)
        page.set_font("Helvetica", "B", 11)
        page.multi_cell(_WIDTH, 5.5, _latin(receipt.merchant_name), new_x="LMARGIN", new_y="NEXT")
    if receipt.merchant_address:
        page.set_text_color(*_SOFT)
        page.set_font("Helvetica", "", 10)
        page.multi_cell(_WIDTH, 5, _latin(receipt.merchant_address), new_x="LMARGIN", new_y="NEXT")


def _section(page: Any, title: str) -> None:
    page.ln(6)
    page.set_font("Helvetica", "B", 11)
    page.set_text_color(*_INK)
    page.cell(_WIDTH, 7, title, new_x="LMARGIN", new_y="NEXT")
    page.set_draw_color(*_LINE)
    page.line(_LEFT, page.get_y(), _LEFT + _WIDTH, page.get_y())
    page.ln(1.5)


def _row(page: Any, label: str, value: str, *, mono: bool = False, strong: bool = False, link: str = "") -> None:
    page.set_font("Helvetica", "", 10)
    page.set_text_color(*_SOFT)
    page.cell(_LABEL, 6.2, label)
    page.set_text_color(*_INK)
    # 66 characters of a transaction's hash fit on one line at this size.
    page.set_font("Courier" if mono else "Helvetica", "B" if strong else "", 8.4 if mono else 10)
    page.multi_cell(_WIDTH - _LABEL, 6.2, _latin(value), align="L", link=link, new_x="LMARGIN", new_y="NEXT")


def _note(page: Any, text: str) -> None:
    page.ln(2)
    page.set_font("Helvetica", "", 8.5)
    page.set_text_color(*_SOFT)
    page.multi_cell(_WIDTH, 4.5, _latin(text), new_x="LMARGIN", new_y="NEXT")
