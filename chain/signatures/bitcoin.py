"""Bitcoin wallets of Mezo Passport: addresses, signed messages (BIP-137), and the account that each address owns.

A bitcoin wallet's account on Mezo is a Safe whose address is derived from the bitcoin address alone, deployed or not (OrangeKit, the base
of Mezo Passport). The wallet signs Bitcoin messages, from which no Ethereum account can be recovered.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final, Literal

import base58
import bech32

from chain.types import Address, keccak, to_checksum

FACTORY: Final = bytes.fromhex("7E80bd5A2E8Fca0B160254D43aC9f43AC2cC1052")
"""The twenty bytes of the address of OrangeKit's Safe factory on Mezo's testnet and mainnet."""
INIT_CODE_HASH: Final = bytes.fromhex("2ebd335f0ee339c4d1338b7275d9b30185802a35ba476be7906f8fb67cfe6e96")
SIGNATURE_BYTES: Final = 65
_MAGIC: Final = b"\x18Bitcoin Signed Message:\n"
_BASE58: Final = re.compile(r"[1-9A-HJ-NP-Za-km-z]*")
_HASH_BYTES: Final = 20
_P2PKH: Final = {0x00, 0x6F}
_P2SH: Final = {0x05, 0xC4}
_NETWORKS: Final = {"bc", "tb", "bcrt"}
_MAX_ADDRESS_LENGTH: Final = 90
_WRONG_CHECKSUM: Final = "This is not a bitcoin address: its checksum is wrong, so at least one character is mistyped."

TAPROOT: Final = (
    "Taproot addresses (bc1p...) own no Mezo account: choose a native SegWit (bc1q...), nested SegWit (3...) or legacy (1...) "
    "address in your bitcoin wallet."
)
BIP322: Final = (
    "This is a BIP-322 signature, which Mezo Passport does not use: set your bitcoin wallet to sign messages with ECDSA (BIP-137) "
    "and sign again."
)

AddressKind = Literal["p2pkh", "p2sh-p2wpkh", "p2wpkh"]


class BitcoinError(ValueError):
    """The address or signature is invalid; the text is a sentence for people."""


@dataclass(frozen=True, slots=True)
class BitcoinAddress:
    """A parsed address; `hash` is the hash of the key, or of the script that contains it."""

    text: str
    kind: AddressKind
    hash: bytes


def looks_bitcoin(text: str) -> bool:
    """Return whether the text is meant as a bitcoin address, valid or not."""
    return not text.startswith(("0x", "0X"))


def parse_address(text: str) -> BitcoinAddress:
    """Parse an address of the main or a test network. Raises BitcoinError."""
    lowered = text.lower()
    if len(text) > _MAX_ADDRESS_LENGTH:
        raise BitcoinError("This is not a bitcoin address: it is too long.")
    if lowered.partition("1")[0] in _NETWORKS:
        return BitcoinAddress(lowered, "p2wpkh", _segwit(text))
    payload = _base58check(text)
    if len(payload) != 1 + _HASH_BYTES:
        raise BitcoinError(_WRONG_CHECKSUM)
    if payload[0] in _P2PKH:
        return BitcoinAddress(text, "p2pkh", payload[1:])
    if payload[0] in _P2SH:
        return BitcoinAddress(text, "p2sh-p2wpkh", payload[1:])
    raise BitcoinError("This address belongs to another chain than Bitcoin.")


def account_of(address: BitcoinAddress) -> Address:
    """Return the Mezo Passport account of the address: CREATE2 with the keccak of the twenty bytes as salt (EIP-1014)."""
    return to_checksum("0x" + keccak(b"\xff" + FACTORY + keccak(address.hash) + INIT_CODE_HASH)[12:].hex())


def message_hash(message: str) -> bytes:
    """Return the hash that a bitcoin wallet signs: of the message with Bitcoin's prefix, hashed twice with SHA-256."""
    raw = message.encode()
    return _sha256d(_MAGIC + encode_length(len(raw)) + raw)


def decode_signature(text: str) -> bytes:
    """Decode a signature of 65 bytes from base64, or from hexadecimal after 0x. Raises BitcoinError."""
    try:
        raw = bytes.fromhex(text[2:]) if text.startswith("0x") else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise BitcoinError("The signature is neither base64 nor 0x and hexadecimal digits.") from error
    if len(raw) == SIGNATURE_BYTES and 27 <= raw[0] <= 42:  # the header bytes of BIP-137
        return raw
    # BIP-322 is a witness: one item (taproot) or two (SegWit), or a whole transaction.
    if len(raw) > SIGNATURE_BYTES or (raw[:1] == b"\x01" and len(raw) in {SIGNATURE_BYTES + 1, SIGNATURE_BYTES + 2}):
        raise BitcoinError(BIP322)
    raise BitcoinError("This is not a BIP-137 signature: 65 bytes are expected, the first between 27 and 42.")


def check(address: BitcoinAddress, message: str, signature: str) -> None:
    """Check that the key of `address` signed `message`. Raises BitcoinError with the reason if it did not.

    The header names the type of address that the signer used: 27-30 legacy with an uncompressed key, 31-34 legacy, 35-38 nested SegWit,
    39-42 native SegWit. Many wallets write 31-34 for every type, and Electrum always does; then only the key is compared.
    """
    from coincurve import PublicKey

    raw = decode_signature(signature)
    header = raw[0] - 27
    try:
        key = PublicKey.from_signature_and_message(raw[1:] + bytes([header & 3]), message_hash(message), hasher=None)
    except ValueError as error:
        raise BitcoinError("No key can have made this signature.") from error
    named: tuple[AddressKind, ...] = (
        ("p2pkh",), ("p2pkh", "p2sh-p2wpkh", "p2wpkh"), ("p2sh-p2wpkh",), ("p2wpkh",)
    )[header // 4]  # fmt: skip
    if address.kind not in named:
        raise BitcoinError("The signature was made for another kind of bitcoin address than the one in the message.")
    if hash_of(key.format(compressed=header >= 4), address.kind) != address.hash:
        raise BitcoinError("Another bitcoin key signed, or another message was signed.")


def hash_of(public_key: bytes, kind: AddressKind) -> bytes:
    """Return the hash of `public_key` in its address of the given kind."""
    if kind == "p2sh-p2wpkh":
        return _hash160(b"\x00\x14" + _hash160(public_key))
    return _hash160(public_key)


def _sha256d(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def _hash160(data: bytes) -> bytes:
    return hashlib.new("ripemd160", hashlib.sha256(data).digest(), usedforsecurity=False).digest()


def encode_length(count: int) -> bytes:
    """Encode `count` as Bitcoin's variable-length integer."""
    if count < 0xFD:
        return bytes([count])
    return b"\xfd" + count.to_bytes(2, "little") if count <= 0xFFFF else b"\xfe" + count.to_bytes(4, "little")


def _base58check(text: str) -> bytes:
    """Decode base58 and verify its checksum."""
    if not _BASE58.fullmatch(text):
        raise BitcoinError("This is neither a 0x address nor a bitcoin address.")
    try:
        return base58.b58decode_check(text)
    except ValueError as error:
        raise BitcoinError(_WRONG_CHECKSUM) from error


def _segwit(text: str) -> bytes:
    """Decode the key hash of a version 0 address of twenty bytes (BIP-173)."""
    if text not in {text.lower(), text.upper()}:
        raise BitcoinError("A SegWit address is written in lower case or in capitals, not in both.")
    network, _, rest = text.lower().rpartition("1")
    if network not in _NETWORKS or len(rest) < 8 or set(rest) - set(bech32.CHARSET):
        raise BitcoinError("This is not a bitcoin address: at least one character is mistyped.")
    if rest.startswith("p"):
        raise BitcoinError(TAPROOT)
    # Not `bech32.decode`: it does not distinguish a wrong checksum from the address of a script.
    _, values = bech32.bech32_decode(text)
    if values is None:
        raise BitcoinError(_WRONG_CHECKSUM)
    program = bech32.convertbits(values[1:], 5, 8, False)
    if values[0] != 0 or program is None or len(program) != _HASH_BYTES:
        raise BitcoinError("This address belongs to a script, and Mezo Passport accounts belong to keys.")
    return bytes(program)
