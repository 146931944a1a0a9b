"""From an intent to a type-2 transaction and back: one path for every signer, whatever holds the key."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chain.erc20 import encode_transfer, payout_calldata
from chain.types import keccak, to_checksum
from treasury.signers.intent import Intent, NativeTransferIntent, SelfTransferIntent
from treasury.signers.protocol import Signed, SignerRefused

if TYPE_CHECKING:
    from eth_account.typed_transactions.typed_transaction import TypedTransaction

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


def _fields(intent: Intent) -> dict[str, Any]:
    to, value, data = _call(intent)
    return {
        "type": 2,
        "chainId": intent.chain_id,
        "nonce": intent.nonce,
        "maxPriorityFeePerGas": intent.priority_fee,
        "maxFeePerGas": intent.max_fee,
        "gas": intent.gas_limit,
        "to": to,
        "value": value,
        "data": data,
        "accessList": [],
    }


def _typed(fields: dict[str, Any]) -> "TypedTransaction":
    from eth_account.typed_transactions.typed_transaction import TypedTransaction

    return TypedTransaction.from_dict(fields)


def signing_hash(intent: Intent) -> bytes:
    """The 32 bytes that the key signs (EIP-1559)."""
    return bytes(_typed(_fields(intent)).hash())


def assemble(intent: Intent, r: int, s: int, request_id: str) -> Signed:
    """Put a signature into the transaction: low s, the parity found by recovery, the signer compared with the wallet.

    Raises SignerRefused where no parity recovers to the wallet: another key, another digest, or a corrupt reply.
    """
    from eth_account import Account

    if not (0 < r < CURVE_ORDER and 0 < s < CURVE_ORDER):
        raise SignerRefused("The signer answered numbers that are no signature.")
    # Nodes refuse the upper half (EIP-2); flipping s flips the parity, so it is tried afterwards.
    low = min(s, CURVE_ORDER - s)
    for parity in (0, 1):
        raw = _typed({**_fields(intent), "v": parity, "r": r, "s": low}).encode()
        try:
            recovered = Account.recover_transaction(raw)
        except Exception:  # noqa: BLE001, S112 - a point that is not on the curve: libraries differ in what they raise
            continue
        if recovered == intent.wallet:
            return Signed(raw=raw, hash="0x" + keccak(raw).hex(), request_id=request_id)
    raise SignerRefused("The signature does not belong to the hot wallet's pinned address; it was thrown away.")


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
    return bytes(_typed({**fields, **listed, "v": int(parity, 16)}).encode())
