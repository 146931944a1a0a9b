"""The intents that a signer signs, in terms that a person can check, and the limits that hold for every signature."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from chain.abi.payonce import Payment
from chain.payonce import ADDRESS, INIT_CODE_HASH
from chain.types import ZERO_ADDRESS, Address, keccak, to_hex


class Purpose(StrEnum):
    """The purpose of a signature. Limits and pauses depend on it."""

    PAYOUT = "payout"
    SWEEP = "sweep"
    PANIC = "panic"
    """Empty the wallet to the cold wallet; the one purpose that no pause stops."""
    NONCE = "nonce"
    """Move nothing, from the wallet to itself, to spend a nonce that stands before later ones."""
    RESTORE = "restore"
    """Move nothing, from the wallet to itself, to spend a nonce that bytes from before a restore may have; no pause stops it."""
    DEPLOY = "deploy"
    """Create PayOnce through the deterministic factory; moves nothing."""
    APPROVE = "approve"
    """Set how much of the token PayOnce may move out of the wallet; moves nothing."""


EMPTY_TRANSFER_GAS: Final = 21_000
"""The gas of a payment without data to an account without code (Yellow Paper, appendix G), and the only limit an empty transfer may have."""
MAX_PAYMENTS: Final = 200
"""The most payments in one transaction, whatever the policy says; a block of Mezo, 10,000,000 gas, has room for about as many."""
_PAY_GAS: Final = 400_000
_GAS_PER_PAYMENT: Final = 90_000
"""The gas that a payment of a batch may add to the gas limit: measured are 54,000 to a new holder, and estimates get a quarter more."""


def max_pay_gas(payments: int) -> int:
    """Return the highest gas limit of a call of PayOnce that makes `payments` payments."""
    return _PAY_GAS + _GAS_PER_PAYMENT * payments


@dataclass(frozen=True, slots=True)
class TransferIntent:
    """Move `amount` base units of `token` from `wallet` to `to`; fees in wei for each unit of gas.

    `reference` is 32 bytes that follow the call's arguments. The token ignores them; they identify the payment on chain.
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
    purpose: Purpose = Purpose.PAYOUT


@dataclass(frozen=True, slots=True)
class NativeTransferIntent:
    """Move `amount` wei of the gas token from `wallet` to `to`, the cold wallet; fees in wei for each unit of gas."""

    chain_id: int
    wallet: Address
    nonce: int
    to: Address
    amount: int
    gas_limit: int
    max_fee: int
    priority_fee: int
    purpose: Purpose = Purpose.SWEEP


@dataclass(frozen=True, slots=True)
class SelfTransferIntent:
    """Spend a nonce: move nothing from `wallet` to itself; fees in wei for each unit of gas."""

    chain_id: int
    wallet: Address
    nonce: int
    gas_limit: int
    max_fee: int
    priority_fee: int
    purpose: Purpose = Purpose.NONCE


@dataclass(frozen=True, slots=True)
class DeployIntent:
    """Have the deterministic factory create the contract of `init_code`, which must be PayOnce's; fees in wei for each unit of gas."""

    chain_id: int
    wallet: Address
    nonce: int
    init_code: bytes = field(repr=False)
    gas_limit: int
    max_fee: int
    priority_fee: int
    purpose: Purpose = Purpose.DEPLOY


@dataclass(frozen=True, slots=True)
class ApproveIntent:
    """Let `spender`, which must be PayOnce, move `amount` base units of `token` out of `wallet`; fees in wei for each unit of gas.

    The amount replaces what was approved before: 0 revokes it, and 2**256 - 1 is never used up.
    """

    chain_id: int
    wallet: Address
    nonce: int
    token: Address
    spender: Address
    amount: int
    gas_limit: int
    max_fee: int
    priority_fee: int
    purpose: Purpose = Purpose.APPROVE


@dataclass(frozen=True, slots=True)
class PayIntent:
    """Pay several buyers in one transaction: call `pay(token, payments)` of the contract PayOnce; fees in wei for each unit of gas.

    The contract moves the wallet's own tokens, each (wallet, reference) once.
    """

    chain_id: int
    wallet: Address
    nonce: int
    contract: Address
    token: Address
    payments: tuple[Payment, ...]
    gas_limit: int
    max_fee: int
    priority_fee: int
    purpose: Purpose = Purpose.PAYOUT

    @property
    def amount(self) -> int:
        """The sum of the payments, in base units."""
        return sum(payment.amount for payment in self.payments)


Intent = TransferIntent | NativeTransferIntent | SelfTransferIntent | DeployIntent | ApproveIntent | PayIntent


@dataclass(frozen=True, slots=True)
class SigningLimits:
    """The limits of every signature of one wallet, for every part of the service that requests one.

    A payout moves `token` only, by a transfer or through `contract`, an address with the pinned code of PayOnce (None: by transfers alone).
    A sweep goes to `cold` only, and moves `token`, a token in `sweep_tokens`, or the gas token; with `cold` None there are no sweeps. The
    only contract that may be created is PayOnce, by its pinned code, and only PayOnce, at its pinned address, may be approved to move
    `token`. `max_fee` is in wei for each unit of gas.
    """

    chain_id: int
    wallet: Address
    token: Address
    max_fee: int
    max_gas: int = 200_000
    max_deploy_gas: int = 700_000
    cold: Address | None = None
    sweep_tokens: frozenset[Address] = frozenset()
    contract: Address | None = None

    def objection(self, intent: Intent) -> str | None:
        """Return why this intent must not be signed, as a sentence; None if it may be."""
        max_gas = self._max_gas(intent)
        checks = (
            (intent.chain_id == self.chain_id, f"chain {intent.chain_id} is not {self.chain_id}"),
            (intent.wallet == self.wallet, f"wallet {intent.wallet} is not {self.wallet}"),
            *self._by_kind(intent),
            (intent.nonce >= 0, "the nonce is negative"),
            (0 < intent.gas_limit <= max_gas, f"gas limit {intent.gas_limit} is above {max_gas}"),
            (0 < intent.max_fee <= self.max_fee, f"fee {intent.max_fee} wei is above the ceiling {self.max_fee}"),
            (0 <= intent.priority_fee <= intent.max_fee, "the tip is above the fee"),
        )
        return next((f"Refused to sign: {sentence}." for holds, sentence in checks if not holds), None)

    def _max_gas(self, intent: Intent) -> int:
        if isinstance(intent, DeployIntent):
            return self.max_deploy_gas
        if isinstance(intent, PayIntent):
            return max_pay_gas(len(intent.payments))
        return self.max_gas

    def _payments(self, intent: PayIntent) -> tuple[tuple[bool, str], ...]:
        """Check the call of PayOnce and each of its payments."""
        payments = intent.payments
        references = {payment.reference for payment in payments}
        recipients = {payment.to for payment in payments}
        refused = recipients & {ZERO_ADDRESS, intent.token, intent.contract, self.wallet}
        return (
            (intent.purpose is Purpose.PAYOUT, "a batch of payments has another purpose"),
            (self.contract is not None, "PAYOUT_CONTRACT is not set"),
            (intent.contract == self.contract, f"{intent.contract} is not the contract {self.contract}"),
            (intent.token == self.token, f"token {intent.token} is not {self.token}"),
            (0 < len(payments) <= MAX_PAYMENTS, f"a batch of {len(payments)} payments is not 1 to {MAX_PAYMENTS}"),
            (all(len(reference) == 32 for reference in references), "a reference is not 32 bytes"),
            (len(references) == len(payments), "a reference is in the batch twice"),
            (len(recipients) == len(payments), "a recipient is in the batch twice"),
            (not refused, f"{', '.join(sorted(refused))} cannot be paid"),
            (all(payment.amount > 0 for payment in payments), "an amount is not positive"),
            (intent.amount < 2**256, "the sum of the amounts is not a 256-bit number"),
        )

    def _by_kind(self, intent: Intent) -> tuple[tuple[bool, str], ...]:
        if isinstance(intent, PayIntent):
            return self._payments(intent)
        if isinstance(intent, SelfTransferIntent):
            return (
                (intent.purpose in {Purpose.NONCE, Purpose.RESTORE}, "a transfer of nothing has another purpose"),
                (
                    intent.gas_limit == EMPTY_TRANSFER_GAS,
                    f"the gas limit of a transfer of nothing is {EMPTY_TRANSFER_GAS}",
                ),
            )
        if isinstance(intent, DeployIntent):
            is_pinned = to_hex(keccak(intent.init_code)) == INIT_CODE_HASH
            return (
                (intent.purpose is Purpose.DEPLOY, "the creation of a contract has another purpose"),
                (is_pinned, "the code to deploy is not the pinned code of PayOnce"),
            )
        if isinstance(intent, ApproveIntent):
            return (
                (intent.purpose is Purpose.APPROVE, "an approval has another purpose"),
                (intent.token == self.token, f"token {intent.token} is not {self.token}"),
                (intent.spender == ADDRESS, f"{intent.spender} is not PayOnce, which has the address {ADDRESS}"),
                (0 <= intent.amount < 2**256, "the amount is not a 256-bit number"),
            )
        sweep = intent.purpose in {Purpose.SWEEP, Purpose.PANIC}
        amount = (0 < intent.amount < 2**256, "the amount is not a positive 256-bit number")
        cold = (not sweep or intent.to == self.cold, f"{intent.to} is not the pinned cold wallet")
        if isinstance(intent, NativeTransferIntent):
            return (sweep, "the gas token goes to the cold wallet alone"), cold, amount
        tokens = {self.token} | (self.sweep_tokens if sweep else set())
        return (
            (sweep or intent.purpose is Purpose.PAYOUT, "a transfer is a payout or a sweep"),
            (intent.token in tokens, f"token {intent.token} is not {self.token}"),
            (intent.to not in {ZERO_ADDRESS, intent.token, self.wallet}, f"{intent.to} cannot be paid"),
            cold,
            amount,
            (intent.reference is None or len(intent.reference) == 32, "the reference is not 32 bytes"),
        )
