"""ID tokens that are wrong in one way, from a provider that is dishonest in that way alone."""

import time
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization

from kit.audit.table import entries
from tests.support.console_browser_oidc import OidcBrowser
from tests.support.oidc_provider import OidcProvider, public_jwk, rsa_key, settings


def forged(provider: OidcProvider, name: str) -> None:
    """Make the provider's next token wrong in one way."""
    now = int(time.time())
    public = provider.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    claims: dict[str, dict[str, Any]] = {
        "another issuer": {"iss": provider.issuer + ".evil.example"},
        "an issuer with a slash": {"iss": provider.issuer + "/"},
        "another audience": {"aud": "other"},
        "several audiences": {"aud": ["console", "other"]},
        "another party": {"aud": ["console", "other"], "azp": "other"},
        "another party alone": {"azp": "other"},
        "another nonce": {"nonce": "x"},
        "a nonce that is no text": {"nonce": ["x"]},
        "an empty subject": {"sub": ""},
        "a subject that is no text": {"sub": ["sub-1"]},
        "a long subject": {"sub": "s" * 256},
        "a subject with a line break": {"sub": "sub-1\n"},
        "an expired token": {"exp": now - 90},
        "a token of the future": {"iat": now + 90},
        "a token that is not valid yet": {"nbf": now + 90},
        "an old token": {"iat": now - 3600},
        "a time that is no number": {"exp": "tomorrow"},
        "an endless time": {"exp": float("inf")},
    }
    if name in claims:
        provider.claims |= claims[name]
    elif name.startswith("without "):
        provider.without = (name.removeprefix("without "),)
    elif name == "alg none":
        provider.algorithm, provider.signing = "none", ""
    elif name == "HS256 with the public key":
        provider.algorithm, provider.signing = "HS256", public
    elif name == "an algorithm that is not offered":
        provider.algorithm = "PS256"
    elif name == "another key under this id":
        provider.signing = rsa_key()
    elif name == "a key in the header":
        provider.signing = rsa_key()
        provider.header |= {"jwk": public_jwk(provider.signing, "one")}
    elif name == "an unknown key id":
        provider.header = {"kid": "two"}
    elif name == "a critical extension":
        provider.header |= {"crit": ["exp"]}
    elif name == "a weak key":
        provider.key = rsa_key(1024)
        provider.keys = [public_jwk(provider.key, "one")]
    elif name == "an encryption key":
        provider.keys = [public_jwk(provider.key, "one", use="enc")]
    else:
        raise AssertionError(name)


FORGERIES = [
    "another issuer", "an issuer with a slash", "another audience", "several audiences", "another party", "another party alone",
    "another nonce", "a nonce that is no text", "an empty subject", "a subject that is no text", "a long subject", "a subject with a line break",
    "an expired token", "a token of the future", "a token that is not valid yet", "an old token", "a time that is no number",
    "an endless time", "without exp", "without iat", "without nonce", "without sub", "without aud", "without iss", "alg none",
    "HS256 with the public key", "an algorithm that is not offered", "another key under this id", "a key in the header", "an unknown key id",
    "a critical extension", "a weak key", "an encryption key",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:The RSA key is:UserWarning")
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_token_that_is_wrong_in_one_way_begins_no_session(start: Any, provider: OidcProvider) -> None:
    honest = dict(provider.__dict__)
    service = await start(**settings(provider.issuer))
    for name in FORGERIES:
        provider.__dict__.update(honest, claims=dict(honest["claims"]), header={"kid": "one"})
        one = await start(**settings(provider.issuer)) if name in {"a weak key", "an encryption key"} else service
        forged(provider, name)
        browser = OidcBrowser(one)
        status, _, body = await browser.log_in_through(provider)
        assert (status, browser.cookie, browser.waiting) == (401, None, None), (name, body)
        assert "oidc_invalid" in body
    provider.__dict__.update(honest)
    assert (await OidcBrowser(service).log_in_through(provider))[0] == 303
    # One row a minute for all of them: nobody fills the audit trail.
    async with service.database.read() as conn:
        refused = sa.select(entries).where(entries.c.action == "console.login_refused")
        assert {row.new_values["code"] for row in await conn.execute(refused)} == {"oidc_invalid"}


async def test_clocks_may_differ_by_a_minute(oidc_service: Any, provider: OidcProvider) -> None:
    for skew in (-45, 45):
        now = int(time.time()) + skew
        provider.claims |= {"iat": now, "nbf": now, "exp": now + 10}
        assert (await OidcBrowser(oidc_service).log_in_through(provider))[0] == 303, skew
