"""An encrypted value decrypts only with its key, in its place and unchanged."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.crypto.encryption import DecryptionError, decrypt, encrypt, is_current
from kit.crypto.keyring import KeyRing

OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)
RING = KeyRing([NEW, OLD], "onramp")


@given(st.text())
def test_an_encrypted_value_can_be_decrypted(value: str) -> None:
    sealed = encrypt(RING, value, purpose="ip", belongs_to="ons_1")
    assert decrypt(RING, sealed, purpose="ip", belongs_to="ons_1") == value
    assert len(value) < 4 or value not in sealed


def test_the_same_value_is_never_sealed_twice_alike() -> None:
    assert len({encrypt(RING, "x", purpose="ip", belongs_to="a") for _ in range(50)}) == 50


def test_an_older_key_still_opens_and_is_known_as_old() -> None:
    sealed = encrypt(KeyRing([OLD], "onramp"), "x", purpose="ip", belongs_to="a")
    assert decrypt(RING, sealed, purpose="ip", belongs_to="a") == "x"
    assert not is_current(RING, sealed, purpose="ip")
    assert is_current(RING, encrypt(RING, "x", purpose="ip", belongs_to="a"), purpose="ip")


@pytest.mark.parametrize(("purpose", "belongs_to"), [("ip", "b"), ("email", "a")])
def test_a_value_moved_elsewhere_does_not_open(purpose: str, belongs_to: str) -> None:
    sealed = encrypt(RING, "x", purpose="ip", belongs_to="a")
    with pytest.raises(DecryptionError):
        decrypt(RING, sealed, purpose=purpose, belongs_to=belongs_to)


def test_a_key_that_is_gone_is_named() -> None:
    sealed = encrypt(KeyRing([OLD], "onramp"), "x", purpose="ip", belongs_to="a")
    with pytest.raises(DecryptionError, match="not in the key ring"):
        decrypt(KeyRing([NEW], "onramp"), sealed, purpose="ip", belongs_to="a")


def test_every_changed_byte_is_found() -> None:
    sealed = encrypt(RING, "hello", purpose="ip", belongs_to="a")
    for position in range(len(sealed) - 1):  # the last character holds spare bits
        changed = "A" if sealed[position] != "A" else "B"
        with pytest.raises(DecryptionError):
            decrypt(RING, sealed[:position] + changed + sealed[position + 1 :], purpose="ip", belongs_to="a")


@given(st.text())
def test_anything_else_is_refused_in_order(text: str) -> None:
    with pytest.raises(DecryptionError):
        decrypt(RING, text, purpose="ip", belongs_to="a")
