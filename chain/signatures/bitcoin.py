"""Bitcoin wallets as Mezo Passport knows them: addresses, signed messages (BIP-137), and the account that each address owns.

A bitcoin wallet's account on Mezo is a Safe whose address follows from the bitcoin address alone, deployed or not (OrangeKit,
which Mezo Passport stands on). The wallet signs as Bitcoin does; nothing of Ethereum's recovers from such a signature.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from chain.types import Address, keccak, to_checksum

FACTORY: Final = bytes.fromhex("7E80bd5A2E8Fca0B160254D43aC9f43AC2cC1052")
"""OrangeKit's Safe factory on Mezo, test and main network alike."""
INIT_CODE_HASH: Final = bytes.fromhex("2ebd335f0ee339c4d1338b7275d9b30185802a35ba476be7906f8fb67cfe6e96")
SIGNATURE_BYTES: Final = 65
_MAGIC: Final = b"\x18Bitcoin Signed Message:\n"
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_HASH_BYTES: Final = 20
_CHECKSUM_BYTES: Final = 4
_P2PKH: Final = {0x00, 0x6F}
_P2SH: Final = {0x05, 0xC4}
_HRPS: Final = {"bc", "tb", "bcrt"}
_MAX_ADDRESS_LENGTH: Final = 90

TAPROOT: Final = (
    "Taproot addresses (bc1p...) own no Mezo account: choose a native SegWit (bc1q...), nested SegWit (3...) or legacy (1...) "
    "address in your bitcoin wallet."
)
BIP322: Final = (
    "This is a BIP-322 signature, which Mezo Passport does not use: set your bitcoin wallet to sign messages with ECDSA (BIP-137) "
    "and sign again."
)

Kind = Literal["p2pkh", "p2sh-p2wpkh", "p2wpkh"]


class BitcoinError(ValueError):
    """An address or signature that cannot be used; the text is a sentence for people."""


@dataclass(frozen=True, slots=True)
class BitcoinAddress:
    """What an address commits to: a key's hash, or the hash of the script that holds it."""

    text: str
    kind: Kind
    hash: bytes


def looks_bitcoin(text: str) -> bool:
    """Whether somebody means a bitcoin address, right or wrong."""
    return not text.startswith(("0x", "0X"))


def parse_address(text: str) -> BitcoinAddress:
    """Main network's or test network's, both commit to the same hash. Raises BitcoinError."""
    lowered = text.lower()
    if len(text) > _MAX_ADDRESS_LENGTH:
        raise BitcoinError("This is no bitcoin address: it is too long.")
    if lowered.partition("1")[0] in _HRPS:
        return BitcoinAddress(lowered, "p2wpkh", _segwit(text))
    raw = _base58(text)
    payload, check = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    if len(payload) != 1 + _HASH_BYTES or _sha256d(payload)[:_CHECKSUM_BYTES] != check:
        raise BitcoinError("This is no bitcoin address: its checksum is wrong, so at least one character is mistyped.")
    if payload[0] in _P2PKH:
        return BitcoinAddress(text, "p2pkh", payload[1:])
    if payload[0] in _P2SH:
        return BitcoinAddress(text, "p2sh-p2wpkh", payload[1:])
    raise BitcoinError("This address belongs to another chain than Bitcoin.")


def account_of(address: BitcoinAddress) -> Address:
    """The Mezo Passport account that the address owns: CREATE2 with the keccak of the twenty bytes as salt (EIP-1014)."""
    return to_checksum("0x" + keccak(b"\xff" + FACTORY + keccak(address.hash) + INIT_CODE_HASH)[12:].hex())


def message_hash(message: str) -> bytes:
    """What a bitcoin wallet signs: the message behind a prefix, hashed twice."""
    raw = message.encode()
    return _sha256d(_MAGIC + _length(len(raw)) + raw)


def decode_signature(text: str) -> bytes:
    """65 bytes in base64, or as hex behind 0x. Raises BitcoinError."""
    try:
        raw = bytes.fromhex(text[2:]) if text.startswith("0x") else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise BitcoinError("The signature is neither base64 nor 0x and hexadecimal digits.") from error
    if len(raw) == SIGNATURE_BYTES and 27 <= raw[0] <= 42:  # the header bytes of BIP-137
        return raw
    # BIP-322 is a witness: one item (taproot) or two (SegWit), or a whole transaction.
    if len(raw) > SIGNATURE_BYTES or (raw[:1] == b"\x01" and len(raw) in {SIGNATURE_BYTES + 1, SIGNATURE_BYTES + 2}):
        raise BitcoinError(BIP322)
    raise BitcoinError("This is no BIP-137 signature: 65 bytes are expected, the first between 27 and 42.")


def check(address: BitcoinAddress, message: str, signature: str) -> None:
    """Return where the key behind `address` signed `message`; BitcoinError says why not.

    The header tells which address the signer meant: 27-30 legacy with an uncompressed key, 31-34 legacy, 35-38 nested SegWit,
    39-42 native SegWit. Many wallets write 31-34 whatever the address is, and Electrum always does; the key decides then.
    """
    from coincurve import PublicKey

    raw = decode_signature(signature)
    header = raw[0] - 27
    try:
        key = PublicKey.from_signature_and_message(raw[1:] + bytes([header & 3]), message_hash(message), hasher=None)
    except ValueError as error:
        raise BitcoinError("No key can have made this signature.") from error
    named: tuple[Kind, ...] = (
        ("p2pkh",), ("p2pkh", "p2sh-p2wpkh", "p2wpkh"), ("p2sh-p2wpkh",), ("p2wpkh",)
    )[header // 4]  # fmt: skip
    if address.kind not in named:
        raise BitcoinError("The signature was made for another kind of bitcoin address than the one in the message.")
    if hash_of(key.format(compressed=header >= 4), address.kind) != address.hash:
        raise BitcoinError("Another bitcoin key signed, or another message was signed.")


def hash_of(public_key: bytes, kind: Kind) -> bytes:
    """What an address of that kind commits to, for this key."""
    if kind == "p2sh-p2wpkh":
        return _hash160(b"\x00\x14" + _hash160(public_key))
    return _hash160(public_key)


def _sha256d(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def _hash160(data: bytes) -> bytes:
    return hashlib.new("ripemd160", hashlib.sha256(data).digest(), usedforsecurity=False).digest()


def _length(count: int) -> bytes:
    """Bitcoin's variable length integer."""
    if count < 0xFD:
        return bytes([count])
    return b"\xfd" + count.to_bytes(2, "little") if count <= 0xFFFF else b"\xfe" + count.to_bytes(4, "little")


def _base58(text: str) -> bytes:
    number = 0
    for letter in text:
        place = _BASE58.find(letter)
        if place < 0:
            raise BitcoinError("This is neither a 0x address nor a bitcoin address.")
        number = number * 58 + place
    body = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return b"\0" * (len(text) - len(text.lstrip("1"))) + body


def _segwit(text: str) -> bytes:
    """The key hash of a version 0 address of twenty bytes (BIP-173)."""
    if text not in {text.lower(), text.upper()}:
        raise BitcoinError("A SegWit address is written in small letters or in capitals, not in both.")
    prefix, _, rest = text.lower().rpartition("1")
    values = [_BECH32.find(letter) for letter in rest]
    if prefix not in _HRPS or len(values) < 8 or min(values) < 0:
        raise BitcoinError("This is no bitcoin address: at least one character is mistyped.")
    if values[0] == 1:
        raise BitcoinError(TAPROOT)
    expanded = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    if _polymod(expanded + values) != 1:
        raise BitcoinError("This is no bitcoin address: its checksum is wrong, so at least one character is mistyped.")
    bits = "".join(f"{value:05b}" for value in values[1:-6])
    if values[0] != 0 or len(bits) != 160:  # 32 groups of five bits are the twenty bytes, nothing is left over
        raise BitcoinError("This address belongs to a script, and Mezo Passport accounts belong to keys.")
    return int(bits, 2).to_bytes(_HASH_BYTES, "big")


def _polymod(values: list[int]) -> int:
    """The checksum of BIP-173."""
    generators = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
    found = 1
    for value in values:
        top = found >> 25
        found = (found & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(generators):
            found ^= generator if top >> place & 1 else 0
    return found
