"""From a key on secp256k1, or a signature made with it, to its account."""

from chain.types import Address, keccak, to_checksum


def account_of(point: bytes) -> Address:
    """The account of a public key, given as x and y of 32 bytes each (Yellow Paper, appendix F)."""
    return to_checksum("0x" + keccak(point)[-20:].hex())


def recover(digest: bytes, signature: bytes, parity: int) -> Address | None:
    """The account whose key made `signature` (r and s of 32 bytes each) over `digest`; None where no key can have.

    `parity`, 0 or 1, tells which of two points with that r was meant.
    """
    from coincurve import PublicKey

    try:
        key = PublicKey.from_signature_and_message(signature + bytes([parity]), digest, hasher=None)
    except ValueError:
        return None
    return account_of(key.format(compressed=False)[1:])
