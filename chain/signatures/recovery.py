"""Recover the account of a secp256k1 key from the key or from a signature."""

from chain.types import Address, keccak, to_checksum


def account_of(point: bytes) -> Address:
    """Return the account of a public key; `point` is x and y, 32 bytes each (Yellow Paper, appendix F)."""
    return to_checksum("0x" + keccak(point)[-20:].hex())


def recover(digest: bytes, signature: bytes, parity: int) -> Address | None:
    """Return the account whose key made `signature` (r and s, 32 bytes each) over `digest`; None if no key can have made it.

    `parity`, 0 or 1, selects one of the two points with that r.
    """
    point = _recover_point(digest, signature, parity)
    return None if point is None else account_of(point)


def is_signed_by(account: bytes, digest: bytes, signature: bytes, parity: int) -> bool:
    """Return whether the key of `account` (20 bytes) made `signature` (r and s, 32 bytes each) over `digest`.

    `parity`, 0 or 1, selects one of the two points with that r. Cheaper than comparing with `recover`, which also computes an address's
    checksum.
    """
    point = _recover_point(digest, signature, parity)
    return point is not None and keccak(point)[-20:] == account


def _recover_point(digest: bytes, signature: bytes, parity: int) -> bytes | None:
    from coincurve import PublicKey

    try:
        key = PublicKey.from_signature_and_message(signature + bytes([parity]), digest, hasher=None)
    except ValueError:
        return None
    return key.format(compressed=False)[1:]
