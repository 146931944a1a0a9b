"""Encode an intent as a type-2 transaction (EIP-1559), and put a signature into it: the same code for every signer."""

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from chain.abi.erc20 import encode_approve, encode_transfer, payout_calldata
from chain.abi.payonce import encode_pay
from chain.payonce import FACTORY, deployment_calldata
from chain.signatures.recovery import is_signed_by
from chain.types import address_bytes, keccak, to_checksum, to_hex
from treasury.signers.intent import (
    ApproveIntent,
    DeployIntent,
    Intent,
    NativeTransferIntent,
    PayIntent,
    SelfTransferIntent,
)
from treasury.signers.protocol import Signed, SignerRefused

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""The order n of secp256k1."""
_TYPE = b"\x02"
_LIST = 0xC0
"""The number that RLP adds to the length of a list in its prefix (Yellow Paper, appendix B)."""


@cache
def _rlp() -> Any:
    """Return rlp's codec. Importing it takes 0.2 s of CPU time, so a process that signs nothing never does."""
    from rlp import codec

    return codec


def _number(value: int) -> bytes:
    """Return a number as RLP takes it: big-endian without leading zeros, zero as no bytes."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _encode(fields: Iterable[bytes | list[Any]]) -> bytes:
    """Return the RLP of these fields, one after the other, without the prefix of a list."""
    return b"".join(map(_rlp().encode_raw, fields))


def _typed(fields: bytes) -> bytes:
    """Return the type-2 transaction of these encoded fields; without the signature's three fields, it is the message whose hash is signed."""
    prefix: bytes = _rlp().length_prefix(len(fields), _LIST)
    return _TYPE + prefix + fields


def _call(intent: Intent) -> tuple[str, int, bytes]:
    """Return the address that the transaction calls, the wei it sends there, and its calldata."""
    if isinstance(intent, NativeTransferIntent):
        return intent.to, intent.amount, b""
    if isinstance(intent, SelfTransferIntent):
        return intent.wallet, 0, b""
    if isinstance(intent, DeployIntent):
        return FACTORY, 0, deployment_calldata(intent.init_code)
    if isinstance(intent, ApproveIntent):
        return intent.token, 0, encode_approve(intent.spender, intent.amount)
    if isinstance(intent, PayIntent):
        return intent.contract, 0, encode_pay(intent.token, intent.payments)
    if intent.reference is None:
        return intent.token, 0, encode_transfer(intent.to, intent.amount)
    return intent.token, 0, payout_calldata(intent.to, intent.amount, intent.reference)


@lru_cache(maxsize=64)
def _unsigned(intent: Intent) -> tuple[bytes, bytes, bytes]:
    """Return the encoded fields without the signature (eips.ethereum.org/EIPS/eip-1559), the digest to sign, and the wallet's 20 bytes.

    Cached, because both are needed twice: before the signature, and when it is checked and appended.
    """
    to, value, data = _call(intent)
    numbers = (intent.chain_id, intent.nonce, intent.priority_fee, intent.max_fee, intent.gas_limit)
    access_list: list[Any] = []
    fields = _encode((*map(_number, numbers), bytes.fromhex(to[2:]), _number(value), data, access_list))
    return fields, keccak(_typed(fields)), address_bytes(intent.wallet)


def signing_hash(intent: Intent) -> bytes:
    """Return the 32 bytes that the key signs (EIP-1559)."""
    return _unsigned(intent)[1]


def assemble(intent: Intent, r: int, s: int, request_id: str) -> Signed:
    """Put a signature into the transaction: s is made low, and the parity is the one that recovers to the wallet.

    Raises SignerRefused where neither parity does: another key, another digest, or a corrupt reply.
    """
    if not (0 < r < CURVE_ORDER and 0 < s < CURVE_ORDER):
        raise SignerRefused("The signer returned numbers that are not a signature.")
    # Nodes refuse the upper half (EIP-2). Flipping s flips the parity, so the parity is searched for afterwards.
    low = min(s, CURVE_ORDER - s)
    fields, digest, wallet = _unsigned(intent)
    signature = r.to_bytes(32, "big") + low.to_bytes(32, "big")
    for parity in (0, 1):
        if is_signed_by(wallet, digest, signature, parity):
            raw = _typed(fields + _encode((_number(parity), _number(r), _number(low))))
            return Signed(raw=raw, hash=to_hex(keccak(raw)), request_id=request_id)
    raise SignerRefused("The signature does not belong to the hot wallet's pinned address; it was thrown away.")


def is_signed(intent: Intent, raw: bytes) -> bool:
    """Return whether `raw` is exactly this intent, signed by its wallet, whoever stored the bytes."""
    from eth_account.typed_transactions.typed_transaction import TypedTransaction
    from hexbytes import HexBytes

    try:
        fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        return assemble(intent, fields["r"], fields["s"], "").raw == raw
    except Exception:  # noqa: BLE001 - whatever the codec raises, these are not the bytes
        return False


def encode_signed(fields: Mapping[str, Any]) -> bytes:
    """Return the bytes of a signed type-2 transaction from its fields as JSON-RPC shows them.

    Raises the error of the RLP codec, or of the conversion, for invalid fields.
    """
    parity = fields.get("yParity", fields["v"])
    numbers = ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "value", "r", "s")
    parsed: dict[str, Any] = {name: int(fields[name], 16) for name in numbers}
    others = {
        "type": 2,
        "to": to_checksum(fields["to"].lower()),
        "data": fields["input"],
        "accessList": fields.get("accessList", []),
    }
    from eth_account.typed_transactions.typed_transaction import TypedTransaction

    return bytes(TypedTransaction.from_dict({**parsed, **others, "v": int(parity, 16)}).encode())
