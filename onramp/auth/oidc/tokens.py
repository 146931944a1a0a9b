"""Validate ID tokens (OpenID Connect Core 1.0, 3.1.3.7; RFC 8725)."""

import hmac
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from onramp.auth.oidc.errors import TokenError
from onramp.auth.oidc.provider import Provider

ALGORITHMS: Final = {"RS256": "RSA", "ES256": "EC"}
"""The accepted algorithms and the type of their keys. Fixed here: neither the token nor the provider chooses another one."""
LEEWAY: Final = 60
"""Seconds by which the provider's clock may differ from ours."""
MAX_AGE: Final = 600
"""Seconds after which a token is too old for a login: no login takes longer."""
MAX_LENGTH: Final = 64 * 1024
MIN_RSA_BITS: Final = 2048
MAX_SUBJECT: Final = 255
"""The most characters of `sub` (Core 1.0, 2)."""


async def verify(provider: Provider, token: str, *, nonce: str, now: datetime) -> Mapping[str, Any]:
    """Return the claims of an ID token that was issued to this client for the login with `nonce`.

    Raises TokenError for any other token, ProviderError if the provider's keys cannot be read.
    """
    import jwt

    if len(token) > MAX_LENGTH:
        raise TokenError("the token is too long")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise TokenError("the token is not a signed JWT") from error
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS or "crit" in header or not (kid is None or isinstance(kid, str)):
        raise TokenError("its algorithm or its header is not accepted")
    key = _key(await provider.keys(lacks=kid), kid, algorithm)
    try:
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=[algorithm], audience=provider.config.client_id, issuer=provider.config.issuer,
            options={
                "require": ["exp", "iat", "sub", "aud", "iss"],
                # Compared below with the injected clock, because PyJWT uses the system's.
                "verify_exp": False, "verify_iat": False, "verify_nbf": False,
            },
        )  # fmt: skip
    except (jwt.InvalidTokenError, jwt.PyJWKError) as error:
        raise TokenError(f"the token is refused: {type(error).__name__}") from None
    _check_times(claims, now.timestamp())
    _check_party(claims, provider.config.client_id)
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise TokenError("its nonce is not this login's")
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise TokenError("its sub is not a valid text")
    return claims


def _key(keys: Sequence[Mapping[str, Any]], kid: str | None, algorithm: str) -> Any:
    """Return the one key for a token, by its id, or, for a token without one, because there is no other. Raises TokenError."""
    import jwt

    usable = [
        key
        for key in keys
        if key.get("kty") == ALGORITHMS[algorithm]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") == kid)
    ]
    if len(usable) != 1:
        raise TokenError("none of the provider's keys, or more than one, has the token's key id and algorithm")
    try:
        key = jwt.PyJWK(dict(usable[0]), algorithm=algorithm).key
    except (jwt.InvalidKeyError, jwt.PyJWKError, ValueError, TypeError) as error:
        raise TokenError("the provider's key is not valid") from error
    is_strong = key.key_size >= MIN_RSA_BITS if algorithm == "RS256" else key.curve.name == "secp256r1"
    # A private key in a public set would otherwise verify, too.
    if not is_strong or hasattr(key, "private_numbers"):
        raise TokenError("the provider's key is too weak, or is not a public key")
    return key


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expires, issued, begins = (_time(claims.get(name, now)) for name in ("exp", "iat", "nbf"))
    if expires <= now - LEEWAY:
        raise TokenError("it has expired")
    if issued > now + LEEWAY or begins > now + LEEWAY:
        raise TokenError("it is from the future: compare the clocks")
    if issued < now - MAX_AGE - LEEWAY:
        raise TokenError("it is older than any login")


def _time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TokenError("it has a time that is not a number")
    return float(value)


def _check_party(claims: Mapping[str, Any], client_id: str) -> None:
    """Refuse a token for several parties that was not issued to this one (Core 1.0, 3.1.3.7, steps 3 to 5)."""
    audience, party = claims["aud"], claims.get("azp")
    if party is None and isinstance(audience, list) and len(audience) > 1:
        raise TokenError("it is for several clients and names none as the one it was issued to")
    if party is not None and party != client_id:
        raise TokenError("it was issued to another client")
