"""Build the public configuration once, and look up every few seconds whether sales are paused."""

import asyncio
from dataclasses import dataclass
from typing import Final

from chain.deployments import deployment
from kit.clock import Clock
from kit.db.database import Database
from kit.http.conditional import etag_of
from kit.money import format_units
from onramp.config import fields
from onramp.config.settings import Settings
from onramp.dapp.browser_scripts import browser_scripts
from onramp.dapp.schemas import ChainResponse, ConfigResponse, LimitResponse, StripeResponse, TokenResponse
from onramp.sessions.buyer_context import LOCALES
from onramp.sessions.model import FIAT_DECIMALS
from onramp.sessions.schemas import CURRENCIES
from treasury.core.assets import MUSD_DECIMALS
from treasury.pause import service as pause_service

PAUSES_KEPT_SECONDS: Final = 2.0
"""Seconds for which the pauses, once read, serve all requests of this process."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A JSON document and its strong ETag."""

    content: bytes
    etag: str


class PublicConfig:
    """The configuration that dApps read, rendered once from the settings as JSON with an ETag: one version for open sales, one for paused sales."""

    def __init__(self, settings: Settings, token: str, database: Database, clock: Clock) -> None:
        """Render both versions; `token` is the address of MUSD."""
        self._database = database
        self._clock = clock
        self._rendered = {is_paused: _render(settings, token, sales_paused=is_paused) for is_paused in (False, True)}
        self._lock = asyncio.Lock()
        self._current: Rendered | None = None
        self._until = float("-inf")

    async def current(self) -> Rendered:
        """Return the configuration as JSON with its ETag. Whether sales are paused may be PAUSES_KEPT_SECONDS old."""
        async with self._lock:
            if self._current is None or self._clock.monotonic() >= self._until:
                async with self._database.read() as conn:
                    is_paused = (await pause_service.current(conn)).sales
                self._current = self._rendered[is_paused]
                self._until = self._clock.monotonic() + PAUSES_KEPT_SECONDS
            return self._current


def _render(settings: Settings, token: str, *, sales_paused: bool) -> Rendered:
    document = _document(settings, token, sales_paused=sales_paused)
    content = document.model_dump_json(by_alias=True).encode()
    return Rendered(content, etag_of(content))


def _document(settings: Settings, token: str, *, sales_paused: bool) -> ConfigResponse:
    chain = deployment(settings.CHAIN_ID)
    low, high = (format_units(minor, FIAT_DECIMALS) for minor in settings.minor_limits)
    return ConfigResponse(
        environment=settings.ENVIRONMENT,
        chain=ChainResponse(
            id=settings.CHAIN_ID,
            name=chain.name,
            explorer_url=chain.explorer or None,
            rpc_urls=fields.split(settings.PUBLIC_RPC_URLS),
        ),
        musd=TokenResponse(address=token, decimals=MUSD_DECIMALS),
        currencies=list(CURRENCIES),
        limits={currency: LimitResponse(min=low, max=high) for currency in CURRENCIES},
        stripe=StripeResponse(
            publishable_key=settings.STRIPE_PUBLISHABLE_KEY, scripts=list(browser_scripts(settings.STRIPE_API_BASE))
        ),
        session_creation=settings.SESSION_CREATION,
        sales_paused=sales_paused,
        locales=list(LOCALES),
        merchant_name=settings.MERCHANT_NAME or None,
        support_email=settings.SUPPORT_EMAIL or None,
    )
