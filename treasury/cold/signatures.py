"""Signatures collected from the Safe's owners, checked without a node and put into the order the Safe demands.

Wallets and scripts disagree on the last byte. The Safe takes 27 or 28 over `safeTxHash`, and 31 or 32 where the wallet
put Ethereum's message prefix before it (`eth_sign`); others give 0 or 1, which the Safe refuses with GS026.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chain.signatures.recovery import recover
from chain.types import Address, keccak

_LENGTH = 65
_COMPACT = 64
_PREFIX = b"\x19Ethereum Signed Message:\n32"
_EXPLAINED = (27, 28)
_ETH_SIGN = 4


@dataclass(frozen=True, slots=True)
class Checked:
    """`packed` is what `execTransaction` takes, None while it would be refused; `problems` are sentences for people."""

    signed_by: tuple[Address, ...]
    packed: bytes | None
    problems: tuple[str, ...]


def check(signatures: Sequence[str], safe_tx_hash: bytes, owners: Sequence[Address], threshold: int) -> Checked:
    """Who signed, and the signatures in ascending order of their owners, as many as the threshold asks for."""
    found: dict[Address, bytes] = {}
    problems: list[str] = []
    for place, text in enumerate(signatures, start=1):
        try:
            raw = bytes.fromhex(text.strip().removeprefix("0x"))
        except ValueError:
            problems.append(f"Signature {place} is not hexadecimal.")
            continue
        read = _read(raw, safe_tx_hash, owners)
        if isinstance(read, str):
            problems.append(f"Signature {place} {read}")
            continue
        owner, fixed = read
        if owner in found:
            problems.append(f"Signature {place} is a second one of {owner}; one counts.")
        found.setdefault(owner, fixed)
    if len(found) < threshold:
        problems.append(f"{len(found)} of {threshold} owners have signed.")
        return Checked(tuple(sorted(found, key=str.lower)), None, tuple(problems))
    ordered = sorted(found, key=lambda owner: int(owner, 16))
    packed = b"".join(found[owner] for owner in ordered[:threshold])
    return Checked(tuple(ordered), packed, tuple(problems))


def _read(raw: bytes, digest: bytes, owners: Sequence[Address]) -> tuple[Address, bytes] | str:
    """(owner, signature as the Safe takes it), or what is wrong with it."""
    if len(raw) == _COMPACT:
        return "is in the compact form of 64 bytes (EIP-2098), which the Safe does not take; give r, s and v."
    if len(raw) != _LENGTH:
        return f"has {len(raw)} bytes, not {_LENGTH}."
    v = raw[64] + 27 if raw[64] < 2 else raw[64]
    signers: list[Address] = []
    for add, signed in ((0, digest), (_ETH_SIGN, keccak(_PREFIX + digest))):
        plain = v - _ETH_SIGN if v - _ETH_SIGN in _EXPLAINED else v
        if plain not in _EXPLAINED:
            return f"ends with {raw[64]}, which no owner's key gives (0, 1, 27, 28, 31 or 32)."
        if v != plain and add == 0:
            continue
        signer = recover(signed, raw[:64], plain - 27)
        if signer is None:
            continue
        if signer in owners:
            return signer, raw[:64] + bytes([plain + add])
        signers.append(signer)
    who = signers[0] if signers else "nobody"
    return f"is of {who}, who is no owner, or is over another transaction."
