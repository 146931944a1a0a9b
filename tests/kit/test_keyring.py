"""Keys are read in the two forms that people have, and every purpose has its own."""

import base64
import secrets

import pytest

from kit.crypto.keyring import DEVELOPMENT, KeyRing, is_weak, parse_key


def test_both_spellings_of_a_key_are_the_same_key() -> None:
    key = secrets.token_bytes(32)
    urlsafe = base64.urlsafe_b64encode(key).decode()
    assert {parse_key(key.hex()), parse_key(key.hex().upper()), parse_key(urlsafe), parse_key(urlsafe.rstrip("="))} == {
        key
    }


@pytest.mark.parametrize(
    "text", ["", "secret", "00" * 31, "00" * 33, "é" * 43, "A" * 42, "A" * 44, "*" * 43, "zz" * 32]
)
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes") as refused:
        parse_key(text)
    assert not text or text not in str(refused.value)


def test_no_two_purposes_and_no_two_keys_share_a_derived_key() -> None:
    ring = KeyRing([secrets.token_bytes(32), secrets.token_bytes(32)])
    derived = [key.secret for purpose in ("api-keys", "audit-chain") for key in ring.all(purpose)]
    assert len(set(derived)) == 4
    assert ring.first("api-keys") == ring.all("api-keys")[0]


def test_a_ring_shows_no_key() -> None:
    key = secrets.token_bytes(32)
    ring = KeyRing([key])
    shown = f"{ring!r} {ring.first('x')!r} {[ring]}"
    assert key.hex() not in shown
    assert ring.first("x").secret.hex() not in shown
    assert repr(ring.first("x").secret) not in shown


def test_typed_keys_are_weak_and_random_ones_are_not() -> None:
    assert is_weak(DEVELOPMENT)
    assert is_weak(b"\0" * 32)
    assert not any(is_weak(secrets.token_bytes(32)) for _ in range(100))
