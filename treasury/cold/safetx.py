"""A Safe's transaction and the hashes that its owners sign (EIP-712), as Safe 1.3.0 and 1.4.1 compute them.

The domain is {chainId, verifyingContract} alone. A Ledger shows domain hash and message hash; the Safe's interface and contract show
`safeTxHash`, which is keccak256(0x19 0x01 domain message).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from chain.types import ZERO_ADDRESS, Address, keccak

if TYPE_CHECKING:
    from eth_account.messages import SignableMessage

_TYPES: Final = {
    "SafeTx": [
        {"name": "to", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "data", "type": "bytes"},
        {"name": "operation", "type": "uint8"},
        {"name": "safeTxGas", "type": "uint256"},
        {"name": "baseGas", "type": "uint256"},
        {"name": "gasPrice", "type": "uint256"},
        {"name": "gasToken", "type": "address"},
        {"name": "refundReceiver", "type": "address"},
        {"name": "nonce", "type": "uint256"},
    ]
}
_CALL: Final = 0
"""The number of the Safe's operation for a plain call; 1 is a delegatecall."""
_NO_REFUND: Final[dict[str, Any]] = {
    "safeTxGas": 0,
    "baseGas": 0,
    "gasPrice": 0,
    "gasToken": ZERO_ADDRESS,
    "refundReceiver": ZERO_ADDRESS,
}


@dataclass(frozen=True)
class SafeTransaction:
    """One plain call from a Safe. It cannot express a delegatecall or a gas refund."""

    chain_id: int
    safe: Address
    to: Address
    value: int
    data: bytes
    nonce: int

    @cached_property
    def _signable(self) -> "SignableMessage":
        from eth_account.messages import encode_typed_data

        domain = {"chainId": self.chain_id, "verifyingContract": self.safe}
        call = {"to": self.to, "value": self.value, "data": self.data, "operation": _CALL, "nonce": self.nonce}
        return encode_typed_data(domain, _TYPES, {**call, **_NO_REFUND})

    @property
    def domain_hash(self) -> bytes:
        """The EIP-712 domain hash, which identifies the Safe and its chain."""
        return bytes(self._signable.header)

    @property
    def message_hash(self) -> bytes:
        """The EIP-712 hash of the SafeTx struct: the call and the Safe's nonce, without chain and Safe, which `domain_hash` covers. Owners sign `safe_tx_hash`."""
        return bytes(self._signable.body)

    @property
    def safe_tx_hash(self) -> bytes:
        """The hash that owners sign; the contract's `getTransactionHash` returns the same."""
        return keccak(b"\x19\x01" + self.domain_hash + self.message_hash)

    def execution(self, signatures: bytes) -> bytes:
        """Return the calldata of `execTransaction` with packed signatures; anyone with gas may send it to the Safe."""
        from eth_abi.abi import encode

        types = [field["type"] for field in _TYPES["SafeTx"][:-1]] + ["bytes"]
        values = (self.to, self.value, self.data, _CALL, *_NO_REFUND.values(), signatures)
        return keccak(f"execTransaction({','.join(types)})".encode())[:4] + encode(types, values)
