"""The page's document in each language and theme, with the settings that it needs: made when first asked for, then kept."""

import gzip
import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import orjson

from chain.deployments import deployment
from onramp.client.files import ServedFile, ServedFiles
from onramp.config import fields
from onramp.config.settings import Settings
from onramp.dapp.browser_scripts import browser_scripts
from onramp.sessions.schemas import CURRENCIES

DEVELOPMENT_WALLET: Final = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
"""The eighth of the well-known development accounts, whose key is public."""
THEMES: Final = ("auto", "light", "dark")
DEFAULT_LANGUAGE: Final = "en"


class Documents:
    """The documents of one build."""

    def __init__(self, served: ServedFiles, settings: Settings, token: str) -> None:
        """`token` is the address of MUSD."""
        self._served = served
        # `<` is escaped so that no value can close the script element.
        self._config = orjson.dumps(_config(settings, token)).decode().replace("<", "\\u003c")
        self._by_language = {tag.partition("-")[0]: tag for tag in served.languages}
        self._rendered: dict[tuple[str, str], ServedFile] = {}

    def language(self, parameter: str, accepted: str) -> str:
        """Return the page's language: of the URL's parameter, else the first of `Accept-Language` that there is, else English."""
        for tag in (parameter, *_accepted(accepted)):
            found = self._by_language.get(tag.partition("-")[0].strip().lower())
            if found is not None:
                return found
        return DEFAULT_LANGUAGE

    def document(self, language: str, theme: str) -> ServedFile:
        """Return the document in a language of this build; a theme that is unknown is the browser's."""
        key = language, theme if theme in THEMES else THEMES[0]
        if key not in self._rendered:
            text = self._served.files[f"page/{language}.html"].text
            text = text.replace('data-theme="auto"', f'data-theme="{key[1]}"', 1).replace(
                "__CHECKOUT_CONFIG__", self._config
            )
            content = text.encode()
            bodies = {"identity": content, "gzip": gzip.compress(content, 9, mtime=0)}
            digest = hashlib.sha256(content).hexdigest()[:32]
            self._rendered[key] = ServedFile("text/html; charset=utf-8", digest, bodies, is_development=False)
        return self._rendered[key]


@lru_cache(maxsize=256)
def _accepted(header: str) -> tuple[str, ...]:
    """Return the tags of `Accept-Language`, the most wanted first (RFC 9110, section 12.5.4)."""
    return tuple(_by_weight(header.split(",")))


def _by_weight(items: Iterable[str]) -> list[str]:
    weighted = []
    for item in items:
        tag, _, parameter = item.partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if weight > 0:
            weighted.append((weight, tag.strip()))
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]


def _config(settings: Settings, musd: str) -> dict[str, Any]:
    chain = deployment(settings.CHAIN_ID)
    limit = {"min": settings.SESSION_MIN_AMOUNT, "max": settings.SESSION_MAX_AMOUNT}
    return {
        "publishableKey": settings.STRIPE_PUBLISHABLE_KEY,
        "stripeScripts": list(browser_scripts(settings.STRIPE_API_BASE)),
        "chainId": settings.CHAIN_ID,
        "chainName": chain.name,
        "explorerUrl": chain.explorer or None,
        "rpcUrls": fields.split(settings.PUBLIC_RPC_URLS),
        "musdAddress": musd,
        "limits": dict.fromkeys(CURRENCIES, limit),
        "sessionCreation": settings.SESSION_CREATION,
        "merchantName": settings.MERCHANT_NAME or None,
        "supportEmail": settings.SUPPORT_EMAIL or None,
        "developmentWallet": None if settings.is_production else DEVELOPMENT_WALLET,
    }
