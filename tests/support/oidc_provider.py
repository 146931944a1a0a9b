"""A small OpenID Connect provider that answers as a test says, honestly or not."""

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from onramp.bootstrap.server import start_app
from onramp.dev.chain.anvil import free_port

CLIENT: Final = "console"
SECRET: Final = "a secret: of+the/client"


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def public_jwk(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str | None, **more: Any) -> dict[str, Any]:
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    found: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))  # type: ignore[arg-type]
    return found | ({} if kid is None else {"kid": kid}) | more


class OidcProvider:
    """The provider. A test changes its attributes; by default it logs in the person `sub-1` in the group `staff`."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = rsa_key()
        self.keys = [public_jwk(self.key, "one", use="sig", alg="RS256")]
        self.claims: dict[str, Any] = {"sub": "sub-1", "groups": ["staff"], "name": "Ada L."}
        """The claims of the next token, besides those of the protocol, which they replace."""
        self.without: tuple[str, ...] = ()
        """Claims that the next token lacks."""
        self.header: dict[str, Any] = {"kid": "one"}
        self.algorithm = "RS256"
        self.signing: Any = None
        """The key that signs; None for `key`."""
        self.metadata: dict[str, Any] = {}
        self.faults: dict[str, int] = {}
        """Path -> the status that it answers with in place of a document."""
        self.asked: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._describe)
        app.router.add_get("/jwks", self._jwks)
        app.router.add_post("/token", self._token)
        return app

    def authorize(self, url: str) -> str:
        """Return a code for the request that a browser brings, as if its person had logged in."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert (query["response_type"], query["client_id"]) == ("code", CLIENT)
        assert query["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        return code

    def _fault(self, request: web.Request) -> web.Response | None:
        self.asked.append(request.path)
        status = self.faults.get(request.path)
        return None if status is None else web.Response(status=status, text="{}")

    async def _describe(self, request: web.Request) -> web.Response:
        document = {
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize", "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks", "code_challenge_methods_supported": ["S256"],
        }  # fmt: skip
        return self._fault(request) or web.json_response(document | self.metadata)

    async def _jwks(self, request: web.Request) -> web.Response:
        return self._fault(request) or web.json_response({"keys": self.keys})

    async def _token(self, request: web.Request) -> web.Response:
        if (fault := self._fault(request)) is not None:
            return fault
        form = await request.post()
        query = self.codes.pop(str(form["code"]), None)
        given = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        assert given == "console:a+secret%3A+of%2Bthe%2Fclient"
        challenge = base64.urlsafe_b64encode(hashlib.sha256(str(form["code_verifier"]).encode()).digest())
        if (
            query is None
            or form["redirect_uri"] != query["redirect_uri"]
            or challenge.decode().rstrip("=") != query["code_challenge"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"access_token": "x", "token_type": "Bearer", "id_token": self.token(query["nonce"])})

    def token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce} | self.claims
        for name in self.without:
            del claims[name]
        key: Any = self.key if self.signing is None else self.signing
        if self.algorithm == "HS256":
            return _by_hand({"alg": "HS256", **self.header}, claims, key)
        return jwt.encode(claims, key, algorithm=self.algorithm, headers=self.header)


def _by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """Sign with HMAC, which the library refuses to do with a public key."""
    import hmac

    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)]
    signature = hmac.new(secret, ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, base64.urlsafe_b64encode(signature).decode().rstrip("=")])


@asynccontextmanager
async def running_provider() -> AsyncIterator[OidcProvider]:
    port = free_port()
    provider = OidcProvider(f"http://127.0.0.1:{port}")
    runner, _ = await start_app(provider.app(), "127.0.0.1", port)
    try:
        yield provider
    finally:
        await runner.cleanup()


def settings(issuer: str, **changes: Any) -> dict[str, Any]:
    """Return the settings of a service that logs in through this provider."""
    from pydantic import SecretStr

    return {
        "CONSOLE": "on", "OIDC_ISSUER": issuer, "OIDC_CLIENT_ID": CLIENT, "OIDC_CLIENT_SECRET": SecretStr(SECRET),
        "OIDC_NAME": "Okta", "OIDC_ROLES": "treasury=approver,ops=operator,boss=admin,staff=viewer", **changes,
    }  # fmt: skip
