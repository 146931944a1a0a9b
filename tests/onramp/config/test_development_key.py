"""The key that development uses if none is set."""

import secrets

from onramp.config.fields import DEVELOPMENT_KEY, is_weak_key


def test_the_development_key_and_typed_keys_are_weak_and_random_ones_are_not() -> None:
    assert is_weak_key(DEVELOPMENT_KEY)
    assert is_weak_key(b"\0" * 32)
    assert not any(is_weak_key(secrets.token_bytes(32)) for _ in range(100))
