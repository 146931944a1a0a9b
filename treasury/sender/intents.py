"""Build the intent to sign for an operation, or for a transaction that was signed before."""

from chain.abi.payonce import Payment
from chain.types import Address
from treasury.core.assets import NATIVE
from treasury.payouts.model import Payout
from treasury.ports import FeeQuote
from treasury.restores.model import OPERATION_PREFIX
from treasury.sender.config import SenderConfig
from treasury.sender.operations import Operation
from treasury.signers.intent import (
    EMPTY_TRANSFER_GAS,
    Intent,
    NativeTransferIntent,
    PayIntent,
    Purpose,
    SelfTransferIntent,
    TransferIntent,
)
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import SweepKind
from treasury.transactions.model import Transaction


def purpose_of(operation: Operation | None) -> Purpose:
    """Return the purpose of a signature for this operation; None stands for a signature that only spends a nonce."""
    if operation is None:
        return Purpose.NONCE
    if not isinstance(operation, Sweep):
        return Purpose.PAYOUT
    return Purpose.PANIC if operation.kind is SweepKind.PANIC else Purpose.SWEEP


def transfer_intent(
    config: SenderConfig, operation: Operation, nonce: int, amount: int, gas_limit: int, fees: FeeQuote
) -> TransferIntent | NativeTransferIntent:
    """Return the intent that moves `amount` base units of the operation's token to its recipient."""
    purpose = purpose_of(operation)
    if operation.token == NATIVE:
        return NativeTransferIntent(
            chain_id=config.chain_id,
            wallet=config.wallet,
            nonce=nonce,
            to=operation.to,
            amount=amount,
            gas_limit=gas_limit,
            max_fee=fees.max_fee,
            priority_fee=fees.priority_fee,
            purpose=purpose,
        )
    return TransferIntent(
        chain_id=config.chain_id,
        wallet=config.wallet,
        nonce=nonce,
        token=operation.token,
        to=operation.to,
        amount=amount,
        reference=bytes.fromhex(operation.reference[2:]),
        gas_limit=gas_limit,
        max_fee=fees.max_fee,
        priority_fee=fees.priority_fee,
        purpose=purpose,
    )


def payments_of(transaction: Transaction) -> tuple[Payment, ...]:
    """Return the payments of a batch as the contract takes them."""
    return tuple(
        Payment(bytes.fromhex(payment.reference[2:]), payment.to, payment.amount) for payment in transaction.payments
    )


def payment_to(payout: Payout) -> Payment:
    """Return the payment of a payout as the contract takes it."""
    return Payment(bytes.fromhex(payout.reference[2:]), payout.to, payout.amount)


def pay_intent(
    config: SenderConfig,
    contract: Address,
    token: Address,
    payments: tuple[Payment, ...],
    nonce: int,
    gas_limit: int,
    fees: FeeQuote,
) -> PayIntent:
    """Return the intent that makes these payments through PayOnce."""
    return PayIntent(
        chain_id=config.chain_id,
        wallet=config.wallet,
        nonce=nonce,
        contract=contract,
        token=token,
        payments=payments,
        gas_limit=gas_limit,
        max_fee=fees.max_fee,
        priority_fee=fees.priority_fee,
    )


def self_transfer_intent(config: SenderConfig, nonce: int, fees: FeeQuote, purpose: Purpose) -> SelfTransferIntent:
    """Return the intent that spends a nonce and moves nothing."""
    return SelfTransferIntent(
        config.chain_id, config.wallet, nonce, EMPTY_TRANSFER_GAS, fees.max_fee, fees.priority_fee, purpose
    )


def is_for_restore(transaction: Transaction) -> bool:
    """Return whether a transaction only spends a nonce for a restore, which no pause stops."""
    return transaction.operation_id.startswith(OPERATION_PREFIX)


def empty_purpose(transaction: Transaction) -> Purpose:
    """Return the purpose of a transaction that only spends its nonce."""
    return Purpose.RESTORE if is_for_restore(transaction) else Purpose.NONCE


def repeated_intent(
    config: SenderConfig, transaction: Transaction, operation: Operation | None, nonce: int, fees: FeeQuote
) -> Intent:
    """Return the intent of a transaction that was signed before, at the same nonce, for another fee.

    Without an operation that is an empty transfer, also for a deployment or an approval of PayOnce, which a person then repeats.
    """
    if transaction.is_batch:
        gas_limit = transaction.gas_limit or config.gas_of(len(transaction.payments))
        return pay_intent(config, transaction.to, transaction.token, payments_of(transaction), nonce, gas_limit, fees)
    if operation is None:
        return self_transfer_intent(config, nonce, fees, empty_purpose(transaction))
    gas_limit = transaction.gas_limit or config.gas_limit
    return transfer_intent(config, operation, nonce, transaction.amount, gas_limit, fees)
