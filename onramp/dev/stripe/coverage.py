"""Currencies, their networks and decimals, and the sandbox's fixed prices.

Names as in Stripe's preview schema of October 2026; pairs as published for the hosted and embedded onramp.
"""

from decimal import Decimal
from typing import Final

NETWORKS: Final = (
    "avalanche", "base", "bitcoin", "celo", "ethereum", "optimism", "polygon", "solana", "stellar", "sui", "tempo", "worldchain",
)  # fmt: skip
WALLET_KEYS: Final = {network: "base_network" if network == "base" else network for network in NETWORKS}
"""The key of each network in `wallet_addresses`; only Base has a key that differs from its name."""
NETWORK_OF_KEY: Final = {key: network for network, key in WALLET_KEYS.items()}
EVM: Final = frozenset({"avalanche", "base", "celo", "ethereum", "optimism", "polygon", "tempo", "worldchain"})

PAIRS: Final[dict[str, tuple[str, ...]]] = {
    "avax": ("avalanche",),
    "btc": ("bitcoin",),
    "eth": ("base", "ethereum"),
    "matic": ("polygon",),
    "ripusd": ("ethereum",),
    "sol": ("solana",),
    "usdc": ("avalanche", "base", "ethereum", "polygon", "solana", "stellar"),
    "usdt": ("ethereum",),
    "wld": ("worldchain",),
    "xlm": ("stellar",),
}
CURRENCIES: Final = tuple(PAIRS)
DECIMALS: Final = {
    "avax": 18, "btc": 8, "eth": 18, "matic": 18, "ripusd": 18, "sol": 9, "usdc": 6, "usdt": 6, "wld": 18, "xlm": 7,
}  # fmt: skip

_DOLLARS: Final = {
    "avax": "25", "btc": "80000", "eth": "2500", "matic": "0.50", "ripusd": "1", "sol": "160", "usdc": "1", "usdt": "1",
    "wld": "2", "xlm": "0.25",
}  # fmt: skip
_FIAT: Final = {"cad": "0.72", "cop": "0.00025", "eur": "1.08", "gbp": "1.25", "php": "0.0175", "usd": "1"}
SOURCE_CURRENCIES: Final = frozenset(_FIAT)
_RATES: Final = {(f, c): Decimal(fv) / Decimal(cv) for f, fv in _FIAT.items() for c, cv in _DOLLARS.items()}


def rate(source_currency: str, currency: str) -> Decimal:
    """Return how many units of crypto one unit of fiat buys. Rates are fixed: a dollar buys one USDC, a euro 1.08."""
    return _RATES.get((source_currency, currency), Decimal(1))


def format_crypto(amount: Decimal, currency: str) -> str:
    """Return an amount of crypto as text with the asset's full precision, as Stripe echoes it."""
    return f"{amount:.{DECIMALS.get(currency, 18)}f}"
