"""Who signed a message: a key, a contract that answers for itself, one that is not deployed yet, or a bitcoin wallet.

EIP-191 by an account with a key, which it stays when it delegates to code (EIP-7702); ERC-1271 by a deployed contract; ERC-6492
by one that only its factory knows; BIP-137 by a bitcoin wallet. What contracts answer is asked of the nodes and must be agreed.
"""

from dataclasses import dataclass
from typing import Final, Literal

from chain.abi.words import WORD, uint256_word
from chain.errors import CallReverted, NoAgreement, RanTooLong
from chain.pool.pool import Pool
from chain.signatures import bitcoin
from chain.signatures.recovery import recover
from chain.types import Address, address_bytes, data_bytes, keccak, to_checksum, to_hex

MAGIC_1271: Final = bytes.fromhex("1626ba7e")
"""`isValidSignature(bytes32,bytes)`: its selector, and what it returns for yes."""
SUFFIX_6492: Final = bytes.fromhex("6492" * 16)
_KEY_SIGNATURE: Final = 65
_COMPACT_SIGNATURE: Final = 64
MAX_SIGNATURE_BYTES: Final = 16 * 1024
"""Bytes of a signature; a passkey's or a factory's calldata are the longest that are met."""

GAS: Final = 10_000_000
"""For a wallet's answer, its deployment included: several times what any needs, and less than what nodes lend (evmos 25 million, geth 50)."""

Method = Literal["key", "contract", "undeployed", "bitcoin"]


class WalletSignatureInvalid(Exception):
    """The signature does not prove what is claimed; the text is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose account it is on Mezo, and method that was shown."""

    account: Address
    method: Method


def claimed_account(text: str) -> Address:
    """The account that a 0x or bitcoin address stands for. ValueError, in a sentence, for what is neither."""
    return bitcoin.account_of(bitcoin.parse_address(text)) if bitcoin.looks_bitcoin(text) else to_checksum(text)


def personal_hash(message: str) -> bytes:
    """What `personal_sign` signs (EIP-191, version 0x45)."""
    raw = message.encode()
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(raw)).encode() + raw)


async def verify(pool: Pool, claimed: str, message: str, signature: str) -> Signer:
    """Who signed `message`, if it is `claimed`: WalletSignatureInvalid says why not, ChainError that the nodes cannot say.

    A key's and a bitcoin wallet's signature need no node.
    """
    try:
        account = claimed_account(claimed)
        if bitcoin.looks_bitcoin(claimed):
            bitcoin.check(bitcoin.parse_address(claimed), message, signature)
            return Signer(account, "bitcoin")
        raw = data_bytes(signature)
    except bitcoin.BitcoinError as error:
        raise WalletSignatureInvalid(str(error)) from error
    except ValueError as error:
        raise WalletSignatureInvalid("The signature must be 0x and hexadecimal digits.") from error
    if not 0 < len(raw) <= MAX_SIGNATURE_BYTES:
        raise WalletSignatureInvalid("The signature is empty, or far longer than any wallet's.")
    digest = personal_hash(message)
    if _signer(digest, raw) == account:
        return Signer(account, "key")
    return Signer(account, await _verify_contract(pool, account, digest, raw))


def _signer(digest: bytes, signature: bytes) -> Address | None:
    """Return the account whose key made r, s, v over `digest`; v is 27 or 28, or 0 or 1 as some hardware writes it.

    A compact signature holds v in the highest bit of s (https://eips.ethereum.org/EIPS/eip-2098).
    """
    if len(signature) == _COMPACT_SIGNATURE:
        parity, high = divmod(signature[32], 0x80)
        return recover(digest, signature[:32] + bytes([high]) + signature[33:], parity)
    if len(signature) != _KEY_SIGNATURE:
        return None
    parity = signature[64] - 27 if signature[64] >= 27 else signature[64]
    return recover(digest, signature[:64], parity) if parity in {0, 1} else None


async def _verify_contract(pool: Pool, account: Address, digest: bytes, signature: bytes) -> Method:
    """ERC-6492 is looked at first, as it demands: a contract may be deployed between signing and validator_code."""
    wrapped = unwrap_6492(signature)
    # Anew: a wallet that was deployed in the newest block has no code at the head of a moment ago.
    await pool.refresh(force=True)
    at = hex(pool.agreed_head())
    code = await pool.quorum("eth_getCode", [account, at], key=data_bytes)
    deployed = bool(data_bytes(code.value))
    if deployed:
        inner = signature if wrapped is None else wrapped[2]
        if await _accepts(pool, validator_code(account, digest, inner), at):
            return "contract"
    if wrapped is not None:
        factory, calldata, inner = wrapped
        if await _accepts(pool, validator_code(account, digest, inner, first=(factory, calldata)), at):
            return "undeployed"
    if deployed:
        raise WalletSignatureInvalid("The contract at this address does not accept the signature (ERC-1271).")
    if wrapped is not None:
        raise WalletSignatureInvalid("The contract that the signature's factory makes does not accept it (ERC-6492).")
    raise WalletSignatureInvalid(
        "Another key signed, or another message was signed; and no contract stands at this address."
    )


async def _accepts(pool: Pool, program: bytes, at: str) -> bool:
    # A stranger's code: it may answer by what differs between honest nodes, such as method much gas they lend, and nobody may be set
    # aside for that; nor may it run for seconds on each of them.
    call = {"data": to_hex(program), "gas": hex(GAS)}
    try:
        answer = await pool.quorum("eth_call", [call, at], key=data_bytes, quarantine=False)
    except CallReverted:
        return False
    except NoAgreement as error:
        if error.errors and not error.answered and all(isinstance(one, RanTooLong) for one in error.errors):
            return False
        raise
    return data_bytes(answer.value) == uint256_word(1)


def encode_1271(digest: bytes, signature: bytes) -> bytes:
    """Calldata of `isValidSignature(digest, signature)`."""
    padded = signature.ljust(-(-len(signature) // WORD) * WORD, b"\0")
    return MAGIC_1271 + digest + uint256_word(2 * WORD) + uint256_word(len(signature)) + padded


def unwrap_6492(signature: bytes) -> tuple[Address, bytes, bytes] | None:
    """Factory, its calldata and the inner signature; None for a signature that is not wrapped. WalletSignatureInvalid for a broken wrap."""
    if not signature.endswith(SUFFIX_6492):
        return None
    body = signature[: -len(SUFFIX_6492)]
    try:
        if any(body[:12]):
            raise ValueError
        return to_checksum("0x" + body[12:WORD].hex()), _dynamic(body, 1), _dynamic(body, 2)
    except ValueError as error:
        raise WalletSignatureInvalid("The signature is wrapped as ERC-6492 asks, and its contents are not.") from error


def _dynamic(body: bytes, place: int) -> bytes:
    """The byte string whose offset stands in word `place`."""
    start = int.from_bytes(body[place * WORD : (place + 1) * WORD], "big")
    if start + WORD > len(body):
        raise ValueError
    length = int.from_bytes(body[start : start + WORD], "big")
    found = body[start + WORD : start + WORD + length]
    if len(found) != length:
        raise ValueError
    return found


def validator_code(
    account: Address, digest: bytes, signature: bytes, *, first: tuple[Address, bytes] | None = None
) -> bytes:
    """Code for an `eth_call` without a recipient: ask `account` whether it accepts the signature, and answer the word 1 for yes, else 0.

    `first`: a factory and its calldata, called before. Nothing is written to the chain. The account's answer stays inside the node,
    however long it is: yes is what succeeds with at least 32 bytes, of which the first 32 are ERC-1271's word. Whatever else it
    does, reverting or using up its gas included, is no; a sixty-fourth of the gas is left to say so (EIP-150).
    """
    asked = encode_1271(digest, signature)
    calldata = b"" if first is None else first[1]
    out = max(len(calldata), len(asked))

    def program(size: int) -> bytes:
        made = b"" if first is None else b"".join(
            (
                _push(len(calldata)), _push(size), _push(0), b"\x39",  # CODECOPY the factory's calldata to 0
                _push(0), _push(0), _push(len(calldata)), _push(0), _push(0), b"\x73", address_bytes(first[0]),
                b"\x5a\xf1\x50",  # GAS CALL POP: a factory that has done it already may refuse
            )
        )  # fmt: skip
        return made + b"".join(
            (
                _push(len(asked)), _push(size + len(calldata)), _push(0), b"\x39",  # CODECOPY the question to 0
                _push(WORD), _push(out), _push(len(asked)), _push(0), b"\x73", address_bytes(account),
                b"\x5a\xfa",  # GAS STATICCALL: success on the stack
                _push(WORD - 1), b"\x3d\x11\x02",  # RETURNDATASIZE GT MUL: and at least a word came back
                _push(out), b"\x51\x7f", MAGIC_1271.ljust(WORD, b"\0"), b"\x14\x02",  # MLOAD PUSH32 EQ MUL: and it is the right one
                _push(0), b"\x52", _push(WORD), _push(0), b"\xf3",  # MSTORE, RETURN
            )
        )  # fmt: skip

    return program(len(program(0))) + calldata + asked


def _push(number: int) -> bytes:
    """PUSH3, of one width so that the program's length does not depend on what it holds."""
    return b"\x62" + number.to_bytes(3, "big")
