"""Keys are read in both usual encodings, and every purpose has its own derived key."""

import base64
import secrets

import pytest

from kit.crypto.keyring import KeyRing, is_weak, parse_key


def test_both_spellings_of_a_key_are_the_same_key() -> None:
    key = secrets.token_bytes(32)
    urlsafe = base64.urlsafe_b64encode(key).decode()
    assert {parse_key(key.hex()), parse_key(key.hex().upper()), parse_key(urlsafe), parse_key(urlsafe.rstrip("="))} == {
        key
    }


@pytest.mark.parametrize(
    "text", ["", "secret", "00" * 31, "00" * 33, "é" * 43, "A" * 42, "A" * 44, "*" * 43, "zz" * 32]
)
def test_an_invalid_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes") as refused:
        parse_key(text)
    assert not text or text not in str(refused.value)


def test_no_two_purposes_and_no_two_keys_share_a_derived_key() -> None:
    ring = KeyRing([secrets.token_bytes(32), secrets.token_bytes(32)], "onramp")
    derived = [key.secret for purpose in ("api-keys", "audit-chain") for key in ring.all(purpose)]
    assert len(set(derived)) == 4
    assert ring.first("api-keys") == ring.all("api-keys")[0]


def test_the_representation_of_a_key_ring_shows_no_key() -> None:
    key = secrets.token_bytes(32)
    ring = KeyRing([key], "onramp")
    shown = f"{ring!r} {ring.first('x')!r} {[ring]}"
    assert key.hex() not in shown
    assert ring.first("x").secret.hex() not in shown
    assert repr(ring.first("x").secret) not in shown


def test_typed_keys_are_weak_and_random_ones_are_not() -> None:
    assert is_weak(b"\0" * 32)
    assert not any(is_weak(secrets.token_bytes(32)) for _ in range(100))


@pytest.mark.parametrize(
    ("purpose", "secret"),
    [
        ("audit-chain", "bfb1f3ad32101ae5cec1f5e8e49b8d88e0ae62e05d83c574687e3cc3636a9d49"),
        ("wallet-tokens", "76375f1edd6d6cefb5c74b2f90897e79e61766956afa4c22f299e9aee88f8f81"),
    ],
)
def test_derived_keys_never_change_because_stored_data_depends_on_them(purpose: str, secret: str) -> None:
    derived = KeyRing([bytes(range(32))], "onramp").first(purpose)
    assert (derived.id, derived.secret.hex()) == ("bc53ab19", secret)


def test_another_context_derives_other_keys() -> None:
    key = secrets.token_bytes(32)
    ours, theirs = KeyRing([key], "onramp").first("x"), KeyRing([key], "other").first("x")
    assert ours.secret != theirs.secret and ours.id != theirs.id
