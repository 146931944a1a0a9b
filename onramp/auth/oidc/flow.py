"""A login through the provider: code flow with PKCE, bound to the browser that began it (Core 1.0, 3.1; RFC 7636; RFC 9700)."""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from yarl import URL

from kit.clock import Clock
from kit.db.database import Database
from kit.logs import get_logger
from onramp.auth.oidc.errors import ProviderError, TokenError, not_valid, unavailable
from onramp.auth.oidc.provider import Provider
from onramp.auth.oidc.table import oidc_logins
from onramp.auth.oidc.tokens import verify

log = get_logger(__name__)
LIFETIME: Final = timedelta(minutes=10)
"""How long a person may take at the provider."""
_MAX_PARAMETER: Final = 4096
_BROWSER: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Begun:
    """A login that has begun: where the browser goes, and the secret that it keeps in a cookie until it comes back."""

    url: str
    browser: str


class Flow:
    """Logins through one provider.

    The database keeps hashes of the state and of the browser's secret; nonce and PKCE verifier are derived from both, so that neither a
    copy of the database nor a leaked callback address completes a login.
    """

    def __init__(self, provider: Provider, database: Database, clock: Clock) -> None:
        self.provider = provider
        self._database = database
        self._clock = clock

    async def begin(self, browser: str | None, redirect_url: str) -> Begun:
        """Store a new login and return where to go. `browser` is the secret of a login that this browser began before.

        Raises Problem 503 if the provider does not answer.
        """
        config = self.provider.config
        try:
            metadata = await self.provider.metadata()
        except ProviderError as error:
            log.warning("oidc.provider_unavailable", reason=str(error), step="description")
            raise unavailable(config.name) from error
        # Two tabs of one browser log in beside each other with one secret.
        browser = browser if browser is not None and _BROWSER.fullmatch(browser) else _random()
        state = _random()
        async with self._database.write() as conn:
            expires = self._clock.now() + LIFETIME
            values = {"id": _sha256(state), "browser": _sha256(browser), "expires_at": expires}
            await conn.execute(sa.insert(oidc_logins).values(**values))
        challenge = hashlib.sha256(_derived("verifier", browser, state).encode()).digest()
        query = {
            "response_type": "code",
            "client_id": config.client_id,
            "redirect_uri": redirect_url,
            "scope": config.scopes,
            "state": state,
            "nonce": _derived("nonce", browser, state),
            "code_challenge": _base64url(challenge),
            "code_challenge_method": "S256",
        }
        return Begun(str(URL(metadata.authorization_endpoint).update_query(query)), browser)

    async def finish(self, query: Mapping[str, str], browser: str | None, redirect_url: str) -> Mapping[str, object]:
        """Return the claims of the person who comes back from the provider with `query`.

        Each state counts once, whatever comes of it. Raises Problem 401 for a login that is not valid, 503 if the provider does not answer.
        """
        state, code = query.get("state", ""), query.get("code", "")
        if not await self._burn(state, browser):
            log.warning("oidc.login_refused", reason="the state is unknown, used, expired, or another browser's")
            raise not_valid()
        assert browser is not None, "the state belongs to a browser"
        try:
            metadata = await self.provider.metadata()
            issuer = query.get("iss")
            if issuer != self.provider.config.issuer and (issuer is not None or metadata.names_issuer):
                raise TokenError("the answer comes from another issuer")
            if not code or len(code) > _MAX_PARAMETER:
                raise TokenError("the answer has no code")
            verifier = _derived("verifier", browser, state)
            token = await self.provider.exchange(code, verifier=verifier, redirect_url=redirect_url)
            nonce = _derived("nonce", browser, state)
            return await verify(self.provider, token, nonce=nonce, now=self._clock.now())
        except TokenError as error:
            log.warning("oidc.login_refused", reason=str(error))
            raise not_valid() from error
        except ProviderError as error:
            log.warning("oidc.provider_unavailable", reason=str(error), step="code")
            raise unavailable(self.provider.config.name) from error

    async def _burn(self, state: str, browser: str | None) -> bool:
        """Delete the login with this state, and return whether this browser began it and it has not expired."""
        if browser is None or not 0 < len(state) <= _MAX_PARAMETER or not _BROWSER.fullmatch(browser):
            return False
        c = oidc_logins.c
        burn = sa.delete(oidc_logins).where(c.id == _sha256(state)).returning(c.browser, c.expires_at)
        async with self._database.write() as conn:
            row = (await conn.execute(burn)).first()
        if row is None:
            return False
        return secrets.compare_digest(row.browser, _sha256(browser)) and row.expires_at > self._clock.now()


async def prune(conn: AsyncConnection, now: datetime, limit: int = 500) -> int:
    """Delete at most `limit` logins that were not completed in time; return how many."""
    c = oidc_logins.c
    over = sa.select(c.id).where(c.expires_at < now).order_by(c.expires_at).limit(limit)
    return (await conn.execute(sa.delete(oidc_logins).where(c.id.in_(over)))).rowcount


def _random() -> str:
    return secrets.token_urlsafe(32)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _derived(purpose: str, browser: str, state: str) -> str:
    return _base64url(hashlib.sha256(f"{purpose}.{browser}.{state}".encode(errors="surrogatepass")).digest())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
