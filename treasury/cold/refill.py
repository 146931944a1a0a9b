"""Refill the hot wallet from the cold wallet: the transfer is prepared here and signed by the Safe's owners, never by the service.

The output is the Transaction Builder file that the Safe's own interface imports, a sheet with the hashes that a signer compares with the
Ledger's screen, and, once the signatures are collected, the call that anyone with gas may send. The file has no checksum of its own, so
signers compare the hashes on the sheet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chain.abi.erc20 import encode_transfer
from chain.reads.safe import SafeState
from chain.types import ZERO_ADDRESS, Address, to_hex
from kit.money import format_units
from treasury.cold.identity import ColdPin
from treasury.cold.safetx import SafeTransaction
from treasury.cold.signatures import Checked, check


@dataclass(frozen=True, slots=True)
class Refill:
    """One transfer from the Safe. `amount` is in base units; `token` is the zero address for the gas token."""

    pin: ColdPin
    transaction: SafeTransaction
    asset: str
    token: Address
    to: Address
    amount: int
    decimals: int

    def file(self, now: datetime) -> dict[str, Any]:
        """Return the JSON document of the Transaction Builder (safe-global/safe-react-apps, version 1.0)."""
        native = self.token == ZERO_ADDRESS
        call: dict[str, Any] = {
            "to": self.transaction.to,
            "value": str(self.transaction.value),
            "data": None if native else to_hex(self.transaction.data),
            "contractMethod": None,
            "contractInputsValues": None,
        }
        return {
            "version": "1.0",
            "chainId": str(self.pin.chain_id),
            "createdAt": int(now.timestamp() * 1000),
            "meta": {
                "name": f"Refill {self.formatted_amount} {self.asset}",
                "description": f"From the cold wallet to the hot wallet {self.to}",
                "txBuilderVersion": "1.16.5",
                "createdFromSafeAddress": self.pin.address,
                "createdFromOwnerAddress": "",
            },
            "transactions": [call],
        }

    @property
    def formatted_amount(self) -> str:
        """The amount in whole units, as decimal text."""
        return format_units(self.amount, self.decimals)

    def sheet(self) -> dict[str, str]:
        """Return the texts that each signer compares, by name. Hashes are 0x and 64 hex digits."""
        transaction = self.transaction
        return {
            "safe": self.pin.address,
            "chainId": str(self.pin.chain_id),
            "nonce": str(transaction.nonce),
            "transfer": f"{self.formatted_amount} {self.asset} to {self.to}",
            "to": transaction.to,
            "value": str(transaction.value),
            "data": to_hex(transaction.data),
            "operation": "0 (call)",
            "domainHash": to_hex(transaction.domain_hash),
            "messageHash": to_hex(transaction.message_hash),
            "safeTxHash": to_hex(transaction.safe_tx_hash),
        }

    def check(self, signatures: Sequence[str]) -> Checked:
        """Check signatures of the Safe's owners offline against the pinned owners and threshold."""
        return check(signatures, self.transaction.safe_tx_hash, self.pin.owners, self.pin.threshold)

    def execution(self, checked: Checked) -> dict[str, str]:
        """Return the transaction that anyone with gas may send, as field -> text. Raises ValueError while signatures are missing."""
        if checked.packed is None:
            raise ValueError("not enough owners have signed")
        return {"to": self.pin.address, "value": "0", "data": to_hex(self.transaction.execution(checked.packed))}


def prepare(
    pin: ColdPin, state: SafeState, *, asset: str, token: Address, to: Address, amount: int, decimals: int = 18
) -> Refill:
    """Prepare a transfer from the Safe at its present nonce. Raises ValueError if the nonce could not be read or the amount is not positive.

    If the Safe executes another transaction first, that takes the nonce, and the refill has to be prepared and signed again.
    """
    if state.nonce is None or amount <= 0:
        raise ValueError("the Safe's nonce could not be read, or the amount is not above zero")
    native = token == ZERO_ADDRESS
    transaction = SafeTransaction(
        pin.chain_id,
        pin.address,
        to if native else token,
        amount if native else 0,
        b"" if native else encode_transfer(to, amount),
        state.nonce,
    )
    return Refill(pin, transaction, asset, token, to, amount, decimals)
