"""WebAuthn as this service uses it: registrations and signatures, verified with the library `webauthn`.

Specification: https://www.w3.org/TR/webauthn-3/. User verification (a PIN or a biometric check on the device) is always required.
The library is imported where it is used, because it takes time to load and most processes verify nothing.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

MAX_CREDENTIAL: Final = 16_384
"""The most characters of a browser's answer, which takes one to two thousand."""
TIMEOUT_MS: Final = 300_000
"""Milliseconds that a person has to answer the browser's prompt."""


class WebAuthnRefused(Exception):
    """A registration or signature is not valid; the text says why, for a log."""


class ClonedAuthenticator(WebAuthnRefused):
    """The counter of the authenticator did not grow: two devices may hold the same private key."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The service as authenticators know it: the domain that passkeys are bound to, and the origins of its pages."""

    rp_id: str
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Registered:
    """A new passkey as the authenticator reported it; ids and keys in base64url."""

    credential_id: str
    public_key: str
    sign_count: int
    backed_up: bool


@dataclass(frozen=True, slots=True)
class Asserted:
    """A valid signature: the counter after it, and whether the passkey is synchronised between devices."""

    sign_count: int
    backed_up: bool


def encode(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes of base64url, with or without padding. Raises ValueError."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("is not base64url") from error


def creation_options(
    party: RelyingParty, *, service: str, person: str, challenge: bytes, exclude: Sequence[str]
) -> dict[str, Any]:
    """Return PublicKeyCredentialCreationOptionsJSON for `navigator.credentials.create`; `exclude` are credential ids that exist."""
    import webauthn
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = webauthn.generate_registration_options(
        rp_id=party.rp_id,
        rp_name=service,
        user_name=person,
        user_id=hashlib.sha256(person.encode()).digest(),
        challenge=challenge,
        timeout=TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=decode(item)) for item in exclude],
    )
    return dict(orjson.loads(webauthn.options_to_json(options)))


def request_options(party: RelyingParty, *, challenge: bytes, allow: Sequence[str]) -> dict[str, Any]:
    """Return PublicKeyCredentialRequestOptionsJSON for `navigator.credentials.get`; `allow` are the person's credential ids."""
    import webauthn
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    options = webauthn.generate_authentication_options(
        rp_id=party.rp_id,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        allow_credentials=[PublicKeyCredentialDescriptor(id=decode(item)) for item in allow],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return dict(orjson.loads(webauthn.options_to_json(options)))


def verify_registration(credential: Mapping[str, Any], *, challenge: bytes, party: RelyingParty) -> Registered:
    """Return the new passkey in the browser's answer `credential`. Raises WebAuthnRefused."""
    import webauthn

    try:
        verified = webauthn.verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.rp_id,
            expected_origin=list(party.origins),
            require_user_verification=True,
        )
    except Exception as error:  # the library lets errors of its parsers through
        raise WebAuthnRefused(_why(error)) from error
    return Registered(
        encode(verified.credential_id),
        encode(verified.credential_public_key),
        verified.sign_count,
        verified.credential_backed_up,
    )


def verify_assertion(
    credential: Mapping[str, Any],
    *,
    challenge: bytes,
    party: RelyingParty,
    credential_id: str,
    public_key: str,
    sign_count: int | None,
) -> Asserted:
    """Verify that the passkey signed `challenge` on a page of `party`. Raises WebAuthnRefused; ClonedAuthenticator for a counter that did not grow.

    `sign_count` is the stored counter; None: the counter is not compared, as for a signature of long ago.
    """
    import webauthn

    if credential.get("id") != credential_id:
        raise WebAuthnRefused("it was made with another passkey")
    try:
        verified = webauthn.verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.rp_id,
            expected_origin=list(party.origins),
            credential_public_key=decode(public_key),
            credential_current_sign_count=0,  # compared below, so that a clone is told from a bad signature
            require_user_verification=True,
        )
    except Exception as error:  # as above
        raise WebAuthnRefused(_why(error)) from error
    new = verified.new_sign_count
    if sign_count is not None and (new or sign_count) and new <= sign_count:
        raise ClonedAuthenticator(f"its counter is {new}, and was {sign_count} before")
    return Asserted(new, verified.credential_backed_up)


def _why(error: Exception) -> str:
    """Return a short reason. Values of the answer are left out: the library's texts may contain what a browser sent."""
    return f"{type(error).__name__}: {str(error)[:200]}"
