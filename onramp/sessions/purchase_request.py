"""The checks of a create request that need no database."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from chain.types import ZERO_ADDRESS, to_checksum
from kit.http.problems import FieldError, Problem, invalid
from kit.money import Money, format_units
from onramp.sessions.buyer_context import is_allowed
from onramp.sessions.config import SessionConfig
from onramp.sessions.model import FIAT_DECIMALS
from onramp.sessions.schemas import CreateSession

MIN_KEY_LENGTH = 16
MAX_KEY_LENGTH = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseRequest:
    """A create request that has passed every check that needs no database."""

    wallet: str
    """The buyer's address with its EIP-55 checksum."""
    source: Money
    email: str | None
    key_hash: str | None
    """The SHA-256 of the client's idempotency key; None without one."""
    body_hash: str
    reference: str | None = None
    return_url: str | None = None
    locale: str | None = None


def check(body: CreateSession, keys: Sequence[str], config: SessionConfig) -> PurchaseRequest:
    """Return the request, whose header `Idempotency-Key` has the values `keys`.

    Raises Problem 400 for an invalid key or several keys, 422 naming each invalid field.
    """
    if len(keys) > 1:
        raise Problem(400, "idempotency_key_invalid", "Idempotency-Key was sent more than once.")
    key = keys[0] if keys else None
    if key is not None and not MIN_KEY_LENGTH <= len(key) <= MAX_KEY_LENGTH:
        raise Problem(
            400, "idempotency_key_invalid", f"Idempotency-Key takes {MIN_KEY_LENGTH} to {MAX_KEY_LENGTH} characters."
        )
    errors = []
    wallet = body.wallet_address
    try:
        wallet = to_checksum(body.wallet_address)
    except ValueError as error:
        errors.append(FieldError("/walletAddress", str(error)))
    if wallet == ZERO_ADDRESS:
        errors.append(FieldError("/walletAddress", "this is the zero address: MUSD sent there is lost"))
    if wallet.lower() == config.token.lower():
        errors.append(FieldError("/walletAddress", "this is the MUSD token itself, which refuses transfers to it"))
    if config.hot_wallet is not None and wallet.lower() == config.hot_wallet.lower():
        errors.append(FieldError("/walletAddress", "this is the wallet that pays; it cannot buy from itself"))
    source = body.source
    if (limit_error := outside_limits(source, config)) is not None:
        errors.append(limit_error)
    if body.return_url is not None and not is_allowed(body.return_url, config.origins):
        errors.append(FieldError("/returnUrl", "its origin is not one of the service's ALLOWED_ORIGINS"))
    if errors:
        raise invalid(errors)
    # Hash the client's own bytes, whatever they are: aiohttp decodes header bytes that are not UTF-8 into surrogates.
    key_hash = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest() if key is not None else None
    return PurchaseRequest(
        wallet=wallet,
        source=source,
        email=body.email,
        key_hash=key_hash,
        body_hash=_body_hash(body, wallet),
        reference=body.reference,
        return_url=body.return_url,
        locale=body.locale,
    )


def _body_hash(body: CreateSession, wallet: str) -> str:
    """Return the hash by which a repeated request is recognized.

    Without a reference, return URL and locale it is the same hash as in versions that did not know them, so that a retry may reach either
    version.
    """
    text = f"{wallet}|{body.source.minor}|{body.source.currency}|{body.email or ''}"
    context = (body.reference, body.return_url, body.locale)
    if any(value is not None for value in context):
        # None of the parts contains a line break.
        text = "\n".join((text, *(value or "" for value in context)))
    return hashlib.sha256(text.encode()).hexdigest()


def outside_limits(source: Money, config: SessionConfig) -> FieldError | None:
    """Return the error of an amount outside SESSION_MIN_AMOUNT and SESSION_MAX_AMOUNT; None if it is within."""
    if config.min_minor <= source.minor <= config.max_minor:
        return None
    low, high = (format_units(minor, FIAT_DECIMALS) for minor in (config.min_minor, config.max_minor))
    return FieldError("/sourceAmount", f"must be between {low} and {high}")


def refuse_sales() -> Problem:
    """Return the problem that refuses a purchase while a worker has stopped."""
    return Problem(
        503,
        "delivery_unavailable",
        "The service could not deliver what it sold right now, so it sells nothing. Nothing was charged; try again in a few minutes.",
        headers={"Retry-After": "60"},
    )
