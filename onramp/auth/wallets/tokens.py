"""Tokens of logged-in wallets: JWT, HS256, valid for an hour. The first secret signs; all secrets verify."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from kit.batching import DataLoader
from kit.clock import Clock
from kit.db.database import Database
from onramp.auth.roles import Principal
from onramp.auth.wallets import service as wallets_service

LIFETIME: Final = timedelta(hours=1)
TRUST_SECONDS: Final = 2.0
"""Seconds for which a verified token is cached: a logout takes effect everywhere within this time."""
REMEMBER: Final = 1024
_ISSUER: Final = "onramp"
_ALGORITHM: Final = "HS256"


class Tokens:
    """Issues tokens to wallets and resolves them to callers."""

    def __init__(self, database: Database, secrets: Sequence[bytes], chain_id: int, clock: Clock) -> None:
        """Store the parts. The first of `secrets`, 32 bytes each, signs; all verify.

        A token is for one chain: a token of a test network is not valid on mainnet.
        """
        self._database = database
        self._secrets = tuple(secrets)
        self._audience = f"onramp:{chain_id}"
        self._clock = clock
        self._versions: DataLoader[str, int] = DataLoader(self._ask)
        self._known: dict[str, tuple[Principal, float]] = {}

    def sign(self, address: str, version: int) -> tuple[str, datetime]:
        """Return a token for a wallet that has just logged in, and when it expires; `version` is the wallet's token version.

        If the wallet logs out in the meantime, the token is not valid.
        """
        import jwt

        now = self._clock.now().replace(microsecond=0)
        until = now + LIFETIME
        claims = {
            "iss": _ISSUER, "aud": self._audience, "sub": address, "iat": int(now.timestamp()),
            "exp": int(until.timestamp()), "ver": version,
        }  # fmt: skip
        return jwt.encode(claims, self._secrets[0], algorithm=_ALGORITHM), until

    async def resolve(self, token: str) -> Principal | None:
        """Return the wallet of a token as a caller; None if the signature is not ours, the token has expired, or the wallet has logged out since.

        A logout in another process counts after TRUST_SECONDS at the latest.
        """
        if token.count(".") != 2:
            return None
        moment = self._clock.monotonic()
        known = self._known.get(token)
        if known is not None and known[1] > moment:
            return known[0]
        self._known.pop(token, None)
        claims = self._claims(token)
        if claims is None or await self._versions.get(claims["sub"]) != claims["ver"]:
            return None
        principal = Principal(id=claims["sub"], role="wallet", person=claims["sub"])
        left = claims["exp"] - self._clock.now().timestamp()
        if len(self._known) >= REMEMBER:
            self._known.clear()
        self._known[token] = (principal, moment + min(TRUST_SECONDS, left))
        return principal

    async def log_out(self, address: str) -> None:
        """End every token of a wallet."""
        async with self._database.write() as conn:
            await wallets_service.log_out(conn, address)
        self._known = {token: kept for token, kept in self._known.items() if kept[0].id != address}

    def _claims(self, token: str) -> dict[str, Any] | None:
        import jwt

        for secret in self._secrets:
            try:
                claims = jwt.decode(
                    token, secret, algorithms=[_ALGORITHM], audience=self._audience, issuer=_ISSUER,
                    options={"require": ["exp", "iat", "sub", "aud", "iss"], "verify_exp": False, "verify_iat": False},
                )  # fmt: skip
            except jwt.InvalidTokenError:
                continue
            # Compared with the injected clock, because PyJWT uses the system's.
            if isinstance(claims.get("ver"), int) and claims["exp"] > self._clock.now().timestamp():
                return claims
        return None

    async def _ask(self, addresses: Collection[str]) -> dict[str, int]:
        async with self._database.read() as conn:
            return await wallets_service.versions(conn, addresses)
