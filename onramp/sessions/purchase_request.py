"""What a dApp asks for, checked as far as that needs no database."""

import hashlib
from dataclasses import dataclass

from chain.types import ZERO_ADDRESS, to_checksum
from kit.http.problems import FieldError, Problem, invalid
from kit.money import format_units, parse_units
from onramp.sessions.config import SessionConfig
from onramp.sessions.schemas import CreateSession

MIN_KEY = 16
MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class PurchaseRequest:
    """A create request that has passed every check that needs no database."""

    wallet: str
    minor: int
    currency: str
    email: str | None
    key_hash: str | None
    body_hash: str


def check(body: CreateSession, key: str | None, rules: SessionConfig) -> PurchaseRequest:
    """Refuse, naming each field, what can never become a session."""
    if key is not None and not MIN_KEY <= len(key) <= MAX_KEY:
        raise Problem(400, "idempotency_key_invalid", f"Idempotency-Key takes {MIN_KEY} to {MAX_KEY} characters.")
    errors = []
    wallet = body.wallet_address
    try:
        wallet = to_checksum(body.wallet_address)
    except ValueError as error:
        errors.append(FieldError("/walletAddress", str(error)))
    if wallet == ZERO_ADDRESS:
        errors.append(FieldError("/walletAddress", "this is the zero address: nobody could ever spend the MUSD"))
    if wallet.lower() == rules.token.lower():
        errors.append(FieldError("/walletAddress", "this is the MUSD token itself, which refuses transfers to it"))
    if rules.hot_wallet is not None and wallet.lower() == rules.hot_wallet.lower():
        errors.append(FieldError("/walletAddress", "this is the wallet that pays; it cannot buy from itself"))
    minor = parse_units(body.source_amount, 2)
    if not rules.min_minor <= minor <= rules.max_minor:
        bounds = f"{format_units(rules.min_minor, 2)} and {format_units(rules.max_minor, 2)}"
        errors.append(FieldError("/sourceAmount", f"must be between {bounds}"))
    if errors:
        raise invalid(errors)
    digest = hashlib.sha256(f"{wallet}|{minor}|{body.source_currency}|{body.email or ''}".encode()).hexdigest()
    # The client's own bytes, whatever they are: aiohttp reads those that are no UTF-8 into surrogates.
    key_hash = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest() if key is not None else None
    return PurchaseRequest(wallet, minor, body.source_currency, body.email, key_hash, digest)


def refuse_sales() -> Problem:
    """Return the refusal of a purchase while a worker has stopped."""
    return Problem(
        503,
        "delivery_unavailable",
        "The service could not deliver what it sold right now, so it sells nothing. Nothing was charged; try again in a few minutes.",
        headers={"Retry-After": "60"},
    )
