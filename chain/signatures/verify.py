"""Verify that an account signed a message, whether it is a key, a contract wallet (deployed or not) or a bitcoin wallet.

EIP-191 for accounts with a key, also if they delegate to code (EIP-7702); ERC-1271 for deployed contracts; ERC-6492 for contracts that
their factory has not deployed yet; BIP-137 for bitcoin wallets. Contracts are called through the nodes, which must agree on the answer.
"""

from dataclasses import dataclass
from typing import Final, Literal

from eth_abi.abi import encode

from chain.abi.decoding import decode_values
from chain.abi.words import WORD, uint256_word
from chain.errors import CallReverted, NoAgreement, RanTooLong
from chain.pool.pool import Pool
from chain.signatures import bitcoin
from chain.signatures.recovery import recover
from chain.types import Address, address_bytes, data_bytes, keccak, to_checksum, to_hex

MAGIC_1271: Final = bytes.fromhex("1626ba7e")
"""The selector of `isValidSignature(bytes32,bytes)`, which the function also returns for a valid signature."""
SUFFIX_6492: Final = bytes.fromhex("6492" * 16)
_KEY_SIGNATURE: Final = 65
_COMPACT_SIGNATURE: Final = 64
MAX_SIGNATURE_BYTES: Final = 16 * 1024
"""The longest signature that is verified, in bytes; passkey signatures and factory calldata are the longest in use."""

GAS: Final = 10_000_000
"""The gas of the call that verifies, including a deployment: several times what any wallet needs, and less than nodes allow (evmos 25 million, geth 50)."""

Method = Literal["key", "contract", "undeployed", "bitcoin"]


class WalletSignatureInvalid(Exception):
    """The signature is not the claimed account's; the text is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Signer:
    """The account on Mezo that signed, and the method by which that was verified."""

    account: Address
    method: Method


def claimed_account(text: str) -> Address:
    """Return the account on Mezo of a 0x or bitcoin address. Raises ValueError, with a sentence for people, if `text` is neither."""
    return bitcoin.account_of(bitcoin.parse_address(text)) if bitcoin.looks_bitcoin(text) else to_checksum(text)


def personal_hash(message: str) -> bytes:
    """Return the hash that `personal_sign` signs (EIP-191, version 0x45)."""
    raw = message.encode()
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(raw)).encode() + raw)


async def verify(pool: Pool, claimed: str, message: str, signature: str) -> Signer:
    """Return the signer of `message` if it is `claimed`, a 0x or bitcoin address. Signatures of keys and bitcoin wallets need no node.

    Raises WalletSignatureInvalid with the reason, ChainError if the nodes do not answer or agree.
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
    """Return the account whose key made r, s, v over `digest`; v is 27 or 28, or 0 or 1 from some hardware wallets.

    A compact signature has v in the highest bit of s (https://eips.ethereum.org/EIPS/eip-2098).
    """
    if len(signature) == _COMPACT_SIGNATURE:
        parity, high = divmod(signature[32], 0x80)
        return recover(digest, signature[:32] + bytes([high]) + signature[33:], parity)
    if len(signature) != _KEY_SIGNATURE:
        return None
    parity = signature[64] - 27 if signature[64] >= 27 else signature[64]
    return recover(digest, signature[:64], parity) if parity in {0, 1} else None


async def _verify_contract(pool: Pool, account: Address, digest: bytes, signature: bytes) -> Method:
    """Ask the contract at `account`, after unwrapping ERC-6492 as the standard requires: it may have been deployed since it signed."""
    wrapped = unwrap_6492(signature)
    # A new probe: a wallet that was deployed in the newest block has no code at the head of an earlier probe.
    await pool.refresh(force=True)
    block = hex(pool.agreed_head())
    code = await pool.quorum("eth_getCode", [account, block], key=data_bytes)
    deployed = bool(data_bytes(code.value))
    if deployed:
        inner = signature if wrapped is None else wrapped[2]
        if await _accepts(pool, validator_code(account, digest, inner), block):
            return "contract"
    if wrapped is not None:
        factory, calldata, inner = wrapped
        if await _accepts(pool, validator_code(account, digest, inner, first=(factory, calldata)), block):
            return "undeployed"
    if deployed:
        raise WalletSignatureInvalid("The contract at this address does not accept the signature (ERC-1271).")
    if wrapped is not None:
        raise WalletSignatureInvalid("The contract that the signature's factory makes does not accept it (ERC-6492).")
    raise WalletSignatureInvalid(
        "Another key signed, or another message was signed; and there is no contract at this address."
    )


async def _accepts(pool: Pool, program: bytes, block: str) -> bool:
    # A stranger's code may return what differs between honest nodes, such as the gas they allow, so no node is quarantined for its
    # answer; and it must not run for seconds on each of them.
    call = {"data": to_hex(program), "gas": hex(GAS)}
    try:
        answer = await pool.quorum("eth_call", [call, block], key=data_bytes, quarantine=False)
    except CallReverted:
        return False
    except NoAgreement as error:
        if error.errors and not error.answered and all(isinstance(each, RanTooLong) for each in error.errors):
            return False
        raise
    return data_bytes(answer.value) == uint256_word(1)


def encode_1271(digest: bytes, signature: bytes) -> bytes:
    """Return the calldata of `isValidSignature(digest, signature)`."""
    return MAGIC_1271 + encode(["bytes32", "bytes"], [digest, signature])


def unwrap_6492(signature: bytes) -> tuple[Address, bytes, bytes] | None:
    """Return (factory, its calldata, inner signature) of an ERC-6492 signature; None for any other. Raises WalletSignatureInvalid if it is malformed."""
    if not signature.endswith(SUFFIX_6492):
        return None
    body = signature[: -len(SUFFIX_6492)]
    try:
        factory, calldata, inner = decode_values(["address", "bytes", "bytes"], body)
        return to_checksum(factory), calldata, inner
    except ValueError as error:
        raise WalletSignatureInvalid(
            "The signature has the ERC-6492 suffix, but its contents are malformed."
        ) from error


def validator_code(
    account: Address, digest: bytes, signature: bytes, *, first: tuple[Address, bytes] | None = None
) -> bytes:
    """Return code for an `eth_call` without a recipient that asks `account` whether it accepts the signature, and returns 1 for yes, else 0.

    It does what `UniversalSigValidator` and `ValidateSigOffchain` in the listing of ERC-6492 do for contracts
    (https://eips.ethereum.org/EIPS/eip-6492#reference-implementation): call the factory `first`, if given, with its calldata, then
    `isValidSignature`, and compare the first word with the magic value. Nothing is written to the chain. Other than the listing, it never
    reverts: everything but success with at least 32 bytes that begin with the magic word is 0, including a revert, a failing
    factory and exhausted gas, for which a sixty-fourth of the gas remains (EIP-150). The account's answer stays inside the node, however
    long it is.
    """
    question = encode_1271(digest, signature)
    calldata = b"" if first is None else first[1]
    out = max(len(calldata), len(question))

    def program(size: int) -> bytes:
        made = b"" if first is None else b"".join(
            (
                _push(len(calldata)), _push(size), _push(0), b"\x39",  # CODECOPY the factory's calldata to 0
                _push(0), _push(0), _push(len(calldata)), _push(0), _push(0), b"\x73", address_bytes(first[0]),
                b"\x5a\xf1\x50",  # GAS CALL POP: a factory that has deployed it already may revert
            )
        )  # fmt: skip
        return made + b"".join(
            (
                _push(len(question)), _push(size + len(calldata)), _push(0), b"\x39",  # CODECOPY the question to 0
                _push(WORD), _push(out), _push(len(question)), _push(0), b"\x73", address_bytes(account),
                b"\x5a\xfa",  # GAS STATICCALL: success on the stack
                _push(WORD - 1), b"\x3d\x11\x02",  # RETURNDATASIZE GT MUL: and it returned at least one word
                _push(out), b"\x51\x7f", MAGIC_1271.ljust(WORD, b"\0"), b"\x14\x02",  # MLOAD PUSH32 EQ MUL: and that word is the magic value
                _push(0), b"\x52", _push(WORD), _push(0), b"\xf3",  # MSTORE, RETURN
            )
        )  # fmt: skip

    return program(len(program(0))) + calldata + question


def _push(number: int) -> bytes:
    """Return PUSH3, always of the same width, so that the program's length does not depend on the numbers in it."""
    return b"\x62" + number.to_bytes(3, "big")
