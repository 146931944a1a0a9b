"""What a signer is asked to sign, in terms a person could check."""

from dataclasses import dataclass

from chain.types import ZERO_ADDRESS, Address


@dataclass(frozen=True, slots=True)
class TransferIntent:
    """Move `amount` base units of `token` from `wallet` to `to`; fees in wei for each unit of gas.

    `reference` is 32 bytes that follow the call's arguments; the token ignores them, and we find them again.
    """

    chain_id: int
    wallet: Address
    nonce: int
    token: Address
    to: Address
    amount: int
    reference: bytes | None
    gas_limit: int
    max_fee: int
    priority_fee: int


@dataclass(frozen=True, slots=True)
class SigningRules:
    """What every signature of one wallet must keep to, whoever asks for it."""

    chain_id: int
    wallet: Address
    token: Address
    max_fee: int
    max_gas: int = 200_000

    def objection(self, intent: TransferIntent) -> str | None:
        """Why this intent must not be signed, as a sentence; None where nothing speaks against it."""
        checks = (
            (intent.chain_id == self.chain_id, f"chain {intent.chain_id} is not {self.chain_id}"),
            (intent.wallet == self.wallet, f"wallet {intent.wallet} is not {self.wallet}"),
            (intent.token == self.token, f"token {intent.token} is not {self.token}"),
            (intent.to not in {ZERO_ADDRESS, self.token, self.wallet}, f"{intent.to} cannot be paid"),
            (0 < intent.amount < 2**256, "the amount is not a positive 256-bit number"),
            (intent.reference is None or len(intent.reference) == 32, "the reference is not 32 bytes"),
            (intent.nonce >= 0, "the nonce is negative"),
            (0 < intent.gas_limit <= self.max_gas, f"gas limit {intent.gas_limit} is above {self.max_gas}"),
            (0 < intent.max_fee <= self.max_fee, f"fee {intent.max_fee} wei is above the ceiling {self.max_fee}"),
            (0 <= intent.priority_fee <= intent.max_fee, "the tip is above the fee"),
        )
        return next((f"Refused to sign: {sentence}." for good, sentence in checks if not good), None)
