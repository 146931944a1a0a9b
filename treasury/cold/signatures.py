"""Check signatures collected from the Safe's owners, without a node, and pack them in the order that the Safe requires.

Wallets and scripts disagree on the last byte. The Safe accepts 27 or 28 over `safeTxHash`, and 31 or 32 if the wallet put Ethereum's
message prefix before it (`eth_sign`). Others return 0 or 1, which the Safe refuses with GS026; those are converted here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chain.signatures.recovery import recover
from chain.types import Address, keccak

_LENGTH = 65
_COMPACT = 64
_PREFIX = b"\x19Ethereum Signed Message:\n32"
_PLAIN_V = (27, 28)
"""The last bytes of signatures over the hash itself."""
_ETH_SIGN = 4
"""The number that is added to the last byte of a signature made with Ethereum's message prefix, as the Safe requires."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The owners who signed. `packed` is the argument of `execTransaction`, None while signatures are missing; `problems` are sentences for people."""

    signed_by: tuple[Address, ...]
    packed: bytes | None
    problems: tuple[str, ...]


def check(signatures: Sequence[str], safe_tx_hash: bytes, owners: Sequence[Address], threshold: int) -> Checked:
    """Check each signature (65 bytes in hexadecimal), and pack as many as the threshold requires in ascending order of their owners."""
    by_owner: dict[Address, bytes] = {}
    problems: list[str] = []
    for place, text in enumerate(signatures, start=1):
        try:
            raw = bytes.fromhex(text.strip().removeprefix("0x"))
        except ValueError:
            problems.append(f"Signature {place} is not hexadecimal.")
            continue
        result = _attribute(raw, safe_tx_hash, owners)
        if isinstance(result, str):
            problems.append(f"Signature {place} {result}")
            continue
        owner, normalized = result
        if owner in by_owner:
            problems.append(f"Signature {place} is a second one of {owner}; one counts.")
        by_owner.setdefault(owner, normalized)
    if len(by_owner) < threshold:
        problems.append(f"{len(by_owner)} of {threshold} owners have signed.")
        return Checked(tuple(sorted(by_owner, key=str.lower)), None, tuple(problems))
    ordered = sorted(by_owner, key=lambda owner: int(owner, 16))
    packed = b"".join(by_owner[owner] for owner in ordered[:threshold])
    return Checked(tuple(ordered), packed, tuple(problems))


def _attribute(raw: bytes, digest: bytes, owners: Sequence[Address]) -> tuple[Address, bytes] | str:
    """Return (owner, signature as the Safe accepts it), or text such as "has 64 bytes, not 65." that continues "The signature ...", if it is refused."""
    if len(raw) == _COMPACT:
        return "is in the compact form of 64 bytes (EIP-2098), which the Safe does not accept; pass r, s and v."
    if len(raw) != _LENGTH:
        return f"has {len(raw)} bytes, not {_LENGTH}."
    v = raw[64] + 27 if raw[64] < 2 else raw[64]
    signers: list[Address] = []
    for added, signed in ((0, digest), (_ETH_SIGN, keccak(_PREFIX + digest))):
        plain = v - _ETH_SIGN if v - _ETH_SIGN in _PLAIN_V else v
        if plain not in _PLAIN_V:
            return f"ends with {raw[64]}, which is not the last byte of a signature (0, 1, 27, 28, 31 or 32)."
        if v != plain and added == 0:
            continue
        signer = recover(signed, raw[:64], plain - 27)
        if signer is None:
            continue
        if signer in owners:
            return signer, raw[:64] + bytes([plain + added])
        signers.append(signer)
    if not signers:
        return "does not recover to any key, so it is not an owner's."
    return (
        f"recovers to {signers[0]}, which is not an owner: someone else signed, or an owner signed another transaction."
    )
