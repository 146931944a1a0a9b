"""The session as Stripe's browser script returns it (@stripe/crypto 1.1.3, types/api/onramp.d.ts); its fields differ from the API's."""

from decimal import Decimal
from typing import Any, Final

from onramp.dev.stripe.config import SandboxConfig
from onramp.dev.stripe.coverage import DECIMALS, format_crypto, rate
from onramp.dev.stripe.lifecycle import Edits, pairs
from onramp.dev.stripe.params import amount
from onramp.dev.stripe.quotes import CENT, fees
from onramp.dev.stripe.session import Session

_SYMBOLS: Final = {"usd": "$", "eur": "€", "gbp": "£", "cad": "CA$", "cop": "COL$", "php": "₱"}


def browser_session(session: Session, edits: Edits, config: SandboxConfig) -> dict[str, Any]:
    """Return the session without its secret, priced for the buyer's choices; `sandbox` holds fields for our hosted page alone."""
    details = session["transaction_details"]
    options = pairs(session)
    return {
        "id": session["id"],
        "object": session["object"],
        "livemode": session["livemode"],
        "status": session["status"],
        "wallet_address": details["wallet_address"],
        "quote": _quote(session, edits) if details["destination_currency"] is not None else None,
        "sandbox": {
            "amount_editable": config.amount_editable,
            "wallet_editable": not details["lock_wallet_address"],
            "options": [{"currency": currency, "network": network} for currency, network in options],
        },
    }


def _quote(session: Session, edits: Edits) -> dict[str, Any]:
    details = session["transaction_details"]
    currency = edits.destination_currency or details["destination_currency"]
    network = edits.destination_network or details["destination_network"]
    price = rate(details["source_currency"], currency)
    bought = amount(details["destination_amount"] or "", 18)
    paid = amount(edits.source_amount or details["source_amount"] or "", 2)
    if paid is None:
        paid = (bought / price).quantize(CENT) if bought is not None else Decimal(100)
    is_final = bought is not None and edits == Edits()
    network_fee, transaction_fee = fees(paid, network)
    return {
        "id": session["id"].replace("cos_", "quote_"),
        "source_currency": _fiat(details["source_currency"]),
        "destination_currency": _crypto(currency, network),
        "source_amount": f"{paid:.2f}",
        "destination_amount": details["destination_amount"] if is_final else format_crypto(paid * price, currency),
        "total_amount": f"{paid + network_fee + transaction_fee:.2f}",
        "fees": {
            "network_fee": f"{network_fee:.2f}",
            "transaction_fee": f"{transaction_fee:.2f}",
            "total_fee": f"{network_fee + transaction_fee:.2f}",
        },
        "expiration": None,
        "fixed_currency_side": "source",
        "blockchain_tx_id": details["transaction_id"],
        "time_to_expiration": None,
    }


def _fiat(code: str) -> dict[str, Any]:
    return {
        "id": code,
        "asset_display_name": code.upper(),
        "asset_code": code,
        "currency_minor_units": 2,
        "currency_symbol": _SYMBOLS.get(code),
        "currency_symbol_location": "prefix" if code in _SYMBOLS else None,
        "currency_network": "fiat",
    }


def _crypto(code: str, network: str) -> dict[str, Any]:
    return {
        "id": f"{code}_{network}",
        "asset_display_name": code.upper(),
        "asset_code": code,
        "currency_minor_units": DECIMALS.get(code, 18),
        "currency_symbol": None,
        "currency_symbol_location": None,
        "currency_network": network,
    }
