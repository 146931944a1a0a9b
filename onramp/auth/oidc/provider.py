"""Talk to the provider: its description, its keys, and the exchange of a code (OpenID Connect Core 1.0 and Discovery 1.0).

The operator configures the issuer, so it may be at a private address, unlike the receivers that others name. What the issuer's
description names is asked without following redirects, over https only unless the issuer itself is http, with limits of time and size.
"""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus, urlsplit

import aiohttp

from kit import json
from kit.clock import Clock
from kit.logs import get_logger
from onramp.auth.oidc.config import OidcConfig
from onramp.auth.oidc.errors import ProviderError, TokenError

log = get_logger(__name__)
SECONDS: Final = 5.0
"""The most that one request to the provider may take."""
MAX_BYTES: Final = 256 * 1024
"""The most bytes of a response."""
FRESH_SECONDS: Final = 3600.0
"""How long the description and the keys are used; a key that the provider has withdrawn is refused after that time."""
REFETCH_SECONDS: Final = 10.0
"""The least time between two requests for keys: tokens with unknown keys must not make this service a load on the provider."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the provider says about itself (Discovery 1.0, 3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    auth_methods: Sequence[str]
    names_issuer: bool
    """Whether its answers name it in the parameter `iss` (RFC 9207)."""


class Provider:
    """The provider of the settings. Nothing is asked before somebody logs in."""

    def __init__(self, config: OidcConfig, http: aiohttp.ClientSession, clock: Clock) -> None:
        self.config = config
        self._http = http
        self._clock = clock
        self._metadata: tuple[Metadata, float] | None = None
        self._keys: tuple[Sequence[Mapping[str, Any]], float] | None = None
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def metadata(self) -> Metadata:
        """Return the provider's description, which is read once an hour. Raises ProviderError."""
        async with self._asking:
            if self._metadata is None or self._is_old(self._metadata[1]):
                url = self.config.issuer.rstrip("/") + "/.well-known/openid-configuration"
                self._metadata = (self._read(await self._get(url)), self._clock.monotonic())
            return self._metadata[0]

    async def keys(self, *, lacks: str | None = None) -> Sequence[Mapping[str, Any]]:
        """Return the provider's signing keys as JWKs, which are read once an hour; with `lacks`, a key id, again if they lack it.

        Raises ProviderError if they cannot be read.
        """
        uri = (await self.metadata()).jwks_uri
        async with self._asking:
            is_old = self._keys is None or self._is_old(self._keys[1])
            may_ask = self._clock.monotonic() - self._asked_at >= REFETCH_SECONDS
            is_missing = lacks is not None and self._keys is not None and not _has(self._keys[0], lacks)
            if is_old or (is_missing and may_ask):
                self._asked_at = self._clock.monotonic()
                found = (await self._get(uri)).get("keys")
                if not isinstance(found, list):
                    raise ProviderError("its key set has no list of keys")
                self._keys = ([key for key in found if isinstance(key, dict)], self._clock.monotonic())
            assert self._keys is not None
            return self._keys[0]

    async def exchange(self, code: str, *, verifier: str, redirect_url: str) -> str:
        """Exchange a code for the ID token and return it (Core 1.0, 3.1.3). Raises TokenError if the provider refuses the code, else ProviderError."""
        metadata, config = await self.metadata(), self.config
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_url,
            "code_verifier": verifier,
        }
        headers = {}
        if config.client_secret and "client_secret_basic" in metadata.auth_methods:
            # RFC 6749, 2.3.1: both are form-encoded first.
            pair = f"{quote_plus(config.client_id)}:{quote_plus(config.client_secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form["client_id"] = config.client_id
            if config.client_secret:
                form["client_secret"] = config.client_secret
        answer = await self._ask("POST", metadata.token_endpoint, data=form, headers=headers)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderError("its answer to the code has no ID token")
        return token

    def _is_old(self, since: float) -> bool:
        return self._clock.monotonic() - since >= FRESH_SECONDS

    def _read(self, document: Mapping[str, Any]) -> Metadata:
        if document.get("issuer") != self.config.issuer:
            raise ProviderError(
                "its description names another issuer than OIDC_ISSUER; they must be equal, to the last slash"
            )
        methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        challenges = document.get("code_challenge_methods_supported")
        if isinstance(challenges, list) and "S256" not in challenges:
            raise ProviderError("it does not support PKCE with S256")
        return Metadata(
            authorization_endpoint=self._endpoint(document, "authorization_endpoint"),
            token_endpoint=self._endpoint(document, "token_endpoint"),
            jwks_uri=self._endpoint(document, "jwks_uri"),
            auth_methods=[str(method) for method in methods] if isinstance(methods, list) else [],
            names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        )

    def _endpoint(self, document: Mapping[str, Any], name: str) -> str:
        url = document.get(name)
        schemes = {"https", "http"} if self.config.allows_http else {"https"}
        try:
            is_valid = isinstance(url, str) and urlsplit(url).scheme in schemes and bool(urlsplit(url).hostname)
        except ValueError:
            is_valid = False
        if not is_valid or not str(url).isprintable():
            raise ProviderError(f"its description has no valid {name}")
        return str(url)

    async def _get(self, url: str) -> Mapping[str, Any]:
        try:
            return await self._ask("GET", url)
        except TokenError as error:
            raise ProviderError(str(error)) from error

    async def _ask(self, method: str, url: str, **more: Any) -> Mapping[str, Any]:
        """Send one request and return the JSON object of the response. Raises TokenError for a 4xx, ProviderError for everything else."""
        try:
            async with (
                asyncio.timeout(SECONDS),
                self._http.request(method, url, allow_redirects=False, **more) as response,
            ):
                body = bytearray()
                while chunk := await response.content.read(MAX_BYTES):
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise ProviderError(f"its answer is longer than {MAX_BYTES} bytes")
                status = response.status
        except TimeoutError:
            raise ProviderError(f"it did not answer within {SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The text of the error may quote the URL, and with it a code.
            raise ProviderError(f"it could not be reached ({type(error).__name__})") from None
        if 400 <= status < 500 and status not in {408, 429}:
            raise TokenError(f"it answered with status {status}")
        if status != 200:
            raise ProviderError(f"it answered with status {status}")
        try:
            document = json.loads(bytes(body))
        except json.MalformedJson:
            document = None
        if not isinstance(document, dict):
            raise ProviderError("its answer is not a JSON object")
        return document


def _has(keys: Sequence[Mapping[str, Any]], kid: str) -> bool:
    return any(key.get("kid") == kid for key in keys)
