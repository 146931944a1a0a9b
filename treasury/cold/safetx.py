"""A Safe's transaction and the hashes its owners sign (EIP-712), as Safe 1.3.0 and 1.4.1 compute them.

The domain is {chainId, verifyingContract} alone. A Ledger shows domain hash and message hash; the Safe's interface and
contract speak of `safeTxHash`, which is keccak256(0x19 0x01 domain message).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chain.abi.words import address_word, uint256_word
from chain.types import ZERO_ADDRESS, Address, keccak

_DOMAIN_TYPE = keccak(b"EIP712Domain(uint256 chainId,address verifyingContract)")
_SAFE_TX_TYPE = keccak(
    b"SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,"
    b"address gasToken,address refundReceiver,uint256 nonce)"
)


@dataclass(frozen=True, slots=True)
class SafeTransaction:
    """One plain call from a Safe; no delegatecall and no gas refund can be said in it."""

    chain_id: int
    safe: Address
    to: Address
    value: int
    data: bytes
    nonce: int

    @property
    def domain_hash(self) -> bytes:
        """Which Safe on which chain."""
        return keccak(_DOMAIN_TYPE + uint256_word(self.chain_id) + address_word(self.safe))

    @property
    def message_hash(self) -> bytes:
        """What it does."""
        nothing, nobody = uint256_word(0), address_word(ZERO_ADDRESS)
        fields = (
            _SAFE_TX_TYPE,
            address_word(self.to),
            uint256_word(self.value),
            keccak(self.data),
            nothing,  # operation: call
            nothing,  # safeTxGas
            nothing,  # baseGas
            nothing,  # gasPrice
            nobody,  # gasToken
            nobody,  # refundReceiver
            uint256_word(self.nonce),
        )
        return keccak(b"".join(fields))

    @property
    def safe_tx_hash(self) -> bytes:
        """What owners sign, and what `getTransactionHash` of the contract answers."""
        return keccak(b"\x19\x01" + self.domain_hash + self.message_hash)

    def execution(self, signatures: bytes) -> bytes:
        """Calldata of `execTransaction` with packed signatures; anybody with gas may send it to the Safe."""
        from eth_abi.abi import encode

        types = ["address", "uint256", "bytes", "uint8", "uint256", "uint256", "uint256", "address", "address", "bytes"]
        values: Sequence[object] = (
            self.to, self.value, self.data, 0, 0, 0, 0, ZERO_ADDRESS, ZERO_ADDRESS, signatures,
        )  # fmt: skip
        return keccak(f"execTransaction({','.join(types)})".encode())[:4] + encode(types, values)
