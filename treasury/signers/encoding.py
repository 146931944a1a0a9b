"""From an intent to a type-2 transaction and back: one path for every signer, whatever holds the key."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from chain.abi.erc20 import encode_transfer, payout_calldata
from chain.signatures.recovery import recover
from chain.types import keccak, to_checksum, to_hex
from treasury.signers.intent import Intent, NativeTransferIntent, SelfTransferIntent
from treasury.signers.protocol import Signed, SignerRefused

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""The order n of secp256k1."""


def _call(intent: Intent) -> tuple[str, int, bytes]:
    """Whom the transaction calls, with how much of the gas token, and its data."""
    if isinstance(intent, NativeTransferIntent):
        return intent.to, intent.amount, b""
    if isinstance(intent, SelfTransferIntent):
        return intent.wallet, 0, b""
    if intent.reference is None:
        return intent.token, 0, encode_transfer(intent.to, intent.amount)
    return intent.token, 0, payout_calldata(intent.to, intent.amount, intent.reference)


def _head(length: int, kind: int) -> bytes:
    """What stands before so many bytes in RLP (Yellow Paper, appendix B); `kind`: 0x80 a string, 0xC0 a list."""
    if length < 56:
        return bytes([kind + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([kind + 55 + len(size)]) + size


def _string(item: int | bytes) -> bytes:
    """One field in RLP, which knows bytes alone: a number is its bytes, the highest first, without leading zeros."""
    data = item.to_bytes((item.bit_length() + 7) // 8, "big") if isinstance(item, int) else item
    return data if len(data) == 1 and data[0] < 0x80 else _head(len(data), 0x80) + data


def _typed(fields: bytes) -> bytes:
    """A type-2 transaction of these encoded fields, or what is signed for it."""
    return b"\x02" + _head(len(fields), 0xC0) + fields


@lru_cache(maxsize=64)
def _unsigned(intent: Intent) -> tuple[bytes, bytes]:
    """The encoded fields of an EIP-1559 transaction without the signature (eips.ethereum.org/EIPS/eip-1559), and the digest.

    Kept, because they are asked for twice: before the signature, and when it is checked and put behind them.
    """
    to, value, data = _call(intent)
    fees = (intent.priority_fee, intent.max_fee)
    fields: tuple[int | bytes, ...] = (
        intent.chain_id,
        intent.nonce,
        *fees,
        intent.gas_limit,
        bytes.fromhex(to[2:]),
        value,
        data,
    )
    encoded = b"".join(map(_string, fields)) + _head(0, 0xC0)  # the access list is empty
    return encoded, keccak(_typed(encoded))


def signing_hash(intent: Intent) -> bytes:
    """The 32 bytes that the key signs (EIP-1559)."""
    return _unsigned(intent)[1]


def assemble(intent: Intent, r: int, s: int, request_id: str) -> Signed:
    """Put a signature into the transaction: low s, the parity found by recovery, the signer compared with the wallet.

    Raises SignerRefused where no parity recovers to the wallet: another key, another digest, or a corrupt reply.
    """
    if not (0 < r < CURVE_ORDER and 0 < s < CURVE_ORDER):
        raise SignerRefused("The signer answered numbers that are no signature.")
    # Nodes refuse the upper half (EIP-2); flipping s flips the parity, so it is tried afterwards.
    low = min(s, CURVE_ORDER - s)
    (encoded, digest), wallet = _unsigned(intent), to_checksum(intent.wallet)
    signature = r.to_bytes(32, "big") + low.to_bytes(32, "big")
    for parity in (0, 1):
        if recover(digest, signature, parity) == wallet:
            raw = _typed(encoded + b"".join(map(_string, (parity, r, low))))
            return Signed(raw=raw, hash=to_hex(keccak(raw)), request_id=request_id)
    raise SignerRefused("The signature does not belong to the hot wallet's pinned address; it was thrown away.")


def is_signed(intent: Intent, raw: bytes) -> bool:
    """Whether `raw` is exactly this intent, signed by its wallet: bytes that prove themselves, whoever stored them."""
    from eth_account.typed_transactions.typed_transaction import TypedTransaction
    from hexbytes import HexBytes

    try:
        shown = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        return assemble(intent, shown["r"], shown["s"], "").raw == raw
    except Exception:  # noqa: BLE001 - whatever the codec raises: these are not the bytes
        return False


def encode_signed(shown: Mapping[str, Any]) -> bytes:
    """The bytes of a signed type-2 transaction from the fields JSON-RPC shows; nonsense raises what the codec does."""
    parity = shown.get("yParity", shown["v"])
    numbers = ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "value", "r", "s")
    fields: dict[str, Any] = {name: int(shown[name], 16) for name in numbers}
    listed = {
        "type": 2,
        "to": to_checksum(shown["to"].lower()),
        "data": shown["input"],
        "accessList": shown.get("accessList", []),
    }
    from eth_account.typed_transactions.typed_transaction import TypedTransaction

    return bytes(TypedTransaction.from_dict({**fields, **listed, "v": int(parity, 16)}).encode())
