"""Verify a received message as a receiver does, and say why a signature is not valid. Nothing in a verdict reveals the secret.

The rules are those of Standard Webhooks 1.0.0, https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kit.json import MalformedJson, loads
from onramp.hooks.signing import PUBLIC_PREFIX, SECRET_PREFIX

TOLERANCE: Final = 300
"""Seconds by which the header's time may differ from the receiver's clock."""
_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
_ID_PREFIX: Final = "msg_"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a message is authentic, and if not, why."""

    code: str
    """`ok`, or the cause as one word for programs."""
    reason: str
    """A sentence for people."""

    @property
    def ok(self) -> bool:
        """Whether the message is authentic and recent."""
        return self.code == "ok"


@dataclass(frozen=True, slots=True)
class _Received:
    message_id: str
    timestamp: str
    signatures: tuple[str, ...]
    body: bytes

    def content(self, message_id: str | None = None, body: bytes | None = None) -> bytes:
        """Return the signed bytes, or what they would be with another id or body."""
        content_id = self.message_id if message_id is None else message_id
        return f"{content_id}.{self.timestamp}.".encode() + (self.body if body is None else body)


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> Verdict:
    """Return the verdict on a message with these headers, names in any case, under `whsec_...` or a public key `whpk_...`."""
    values = {name.lower(): value.strip() for name, value in headers.items()}
    missing = [name for name in _HEADERS if not values.get(name)]
    if missing:
        listed = ", ".join(missing)
        return Verdict("header_missing", f"The request has no header {listed}. Does a proxy remove it?")
    received = _Received(values[_HEADERS[0]], values[_HEADERS[1]], tuple(values[_HEADERS[2]].split()), body)
    problem = _key_problem(secret) or _format_problem(received, secret)
    if problem:
        return problem
    if not _is_signed(received.signatures, received.content(), secret):
        return _why_unsigned(received, secret)
    return _time_problem(received.timestamp, now) or Verdict("ok", "The signature is valid and recent.")


def _key_problem(secret: str) -> Verdict | None:
    prefix = next((p for p in (SECRET_PREFIX, PUBLIC_PREFIX) if secret.startswith(p)), None)
    if prefix is None:
        return Verdict(
            "secret_invalid",
            "The secret does not begin with whsec_ (or whpk_ for a public key). Copy all of it, with its prefix and without quotes.",
        )
    raw = _decoded(secret.removeprefix(prefix))
    if raw is None or (len(raw) != 32 if prefix == PUBLIC_PREFIX else len(raw) < 24):
        return Verdict(
            "secret_invalid",
            f"What follows {prefix} is not complete base64. Was the secret cut off, or a line break added?",
        )
    return None


def _format_problem(received: _Received, secret: str) -> Verdict | None:
    if not received.timestamp.isascii() or not received.timestamp.isdigit():
        return Verdict("timestamp_invalid", "webhook-timestamp is not a number of seconds since 1970.")
    version = _version(secret)
    versions = {part.partition(",")[0] for part in received.signatures if "," in part}
    if version in versions:
        return None
    if not versions:
        return Verdict(
            "prefix_missing",
            f"webhook-signature holds no part that begins with {version},. Pass the header as it arrived, prefix included.",
        )
    listed = " and ".join(sorted(versions))
    key = "a public key whpk_..." if version == "v1" else "the secret whsec_..."
    return Verdict(
        "other_version",
        f"webhook-signature holds {listed}, which this key cannot verify: it makes {version}. Use {key}, or another endpoint's.",
    )


def _time_problem(timestamp: str, now: datetime) -> Verdict | None:
    seconds = int(now.timestamp()) - int(timestamp)
    if seconds > TOLERANCE:
        return Verdict(
            "too_old",
            f"The signature is valid, but it was made {seconds} s ago, and {TOLERANCE} s are allowed. "
            "Either the message was stored and verified later, or the receiver's clock is ahead.",
        )
    if seconds < -TOLERANCE:
        return Verdict(
            "in_the_future",
            f"The signature is valid, but its time is {-seconds} s ahead of this clock, and {TOLERANCE} s are allowed. Set the clock by NTP.",
        )
    return None


def _why_unsigned(received: _Received, secret: str) -> Verdict:
    """Return the cause of a signature that is not valid, by trying what receivers often get wrong."""
    if any(
        _is_signed(received.signatures, received.content(body=body), secret) for body in _other_bodies(received.body)
    ):
        return Verdict(
            "body_changed",
            "The body was changed on its way: with other white space the signature is valid. "
            "Verify the raw bytes of the request, before anything parses them as JSON.",
        )
    if _version(secret) == "v1" and _has_text_key(received, secret):
        return Verdict(
            "key_is_text",
            "The signature was made with the secret's text as key. The key is what whsec_ holds in base64, decoded.",
        )
    if _version(secret) == "v1" and _is_hex(received, secret):
        return Verdict(
            "encoding",
            "The signature is right but written in hex; the header holds base64. Pass the header as it arrived.",
        )
    if not received.message_id.startswith(_ID_PREFIX):
        return Verdict(
            "id_changed",
            f"webhook-id does not begin with {_ID_PREFIX}. It is the message's id, not the delivery's or the purchase's, and part of what is signed.",
        )
    return Verdict(
        "secret_or_body",
        "No signature matches. Either the secret is another one (of another endpoint, or from before a rotation), "
        "or the body, webhook-id or webhook-timestamp is not as it was sent.",
    )


def _other_bodies(body: bytes) -> Iterator[bytes]:
    """Yield bodies that the received one may have been before something changed its white space."""
    yield from {body.strip(), body.rstrip(b"\r\n"), body.removeprefix(b"\xef\xbb\xbf").strip()} - {body}
    try:
        value = loads(body)  # bounded: the standard library's crashes on deep nesting
    except MalformedJson:
        return
    for ascii_only in (False, True):
        yield json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


def _has_text_key(received: _Received, secret: str) -> bool:
    content = received.content()
    texts = (secret.encode(), secret.removeprefix(SECRET_PREFIX).encode())
    return any(_matches(received.signatures, "v1", hmac.digest(key, content, hashlib.sha256)) for key in texts)


def _is_hex(received: _Received, secret: str) -> bool:
    key = _decoded(secret.removeprefix(SECRET_PREFIX)) or b""
    expected = hmac.digest(key, received.content(), hashlib.sha256).hex()
    return any(
        hmac.compare_digest(part.partition(",")[2].lower().encode(), expected.encode()) for part in received.signatures
    )


def _is_signed(signatures: tuple[str, ...], content: bytes, secret: str) -> bool:
    if _version(secret) == "v1":
        key = _decoded(secret.removeprefix(SECRET_PREFIX)) or b""
        return _matches(signatures, "v1", hmac.digest(key, content, hashlib.sha256))
    return any(_is_signed_by(part, content, secret) for part in signatures)


def _matches(signatures: tuple[str, ...], version: str, expected: bytes) -> bool:
    """Return whether a signature of this version equals the expected bytes, each compared in constant time."""
    received = (_decoded(part.partition(",")[2]) for part in signatures if part.startswith(f"{version},"))
    return any(hmac.compare_digest(raw, expected) for raw in received if raw is not None)


def _is_signed_by(part: str, content: bytes, public_key: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    version, _, text = part.partition(",")
    signature, raw_key = _decoded(text), _decoded(public_key.removeprefix(PUBLIC_PREFIX))
    if version != "v1a" or signature is None or raw_key is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(raw_key).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _version(secret: str) -> str:
    return "v1a" if secret.startswith(PUBLIC_PREFIX) else "v1"


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
