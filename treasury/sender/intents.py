"""What the signer is asked for, out of what the sender has decided or has already signed once."""

from treasury.core.assets import NATIVE
from treasury.ports import FeeQuote
from treasury.sender.context import SenderConfig
from treasury.sender.operations import Operation
from treasury.signers.intent import Intent, NativeTransferIntent, Purpose, SelfTransferIntent, TransferIntent
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import Kind
from treasury.transactions.model import Transaction


def purpose_of(operation: Operation | None) -> Purpose:
    """Why something is signed for this operation; None: for its nonce alone."""
    if operation is None:
        return Purpose.NONCE
    if not isinstance(operation, Sweep):
        return Purpose.PAYOUT
    return Purpose.PANIC if operation.kind is Kind.PANIC else Purpose.SWEEP


def movement(
    config: SenderConfig, operation: Operation, nonce: int, amount: int, gas: int, fees: FeeQuote
) -> TransferIntent | NativeTransferIntent:
    """Carry out an operation: `amount` base units of its token to its recipient."""
    purpose = purpose_of(operation)
    if operation.token == NATIVE:
        return NativeTransferIntent(
            config.chain_id,
            config.wallet,
            nonce,
            operation.to,
            amount,
            gas,
            fees.max_fee,
            fees.priority_fee,
            purpose,
        )
    return TransferIntent(
        chain_id=config.chain_id,
        wallet=config.wallet,
        nonce=nonce,
        token=operation.token,
        to=operation.to,
        amount=amount,
        reference=bytes.fromhex(operation.reference[2:]),
        gas_limit=gas,
        max_fee=fees.max_fee,
        priority_fee=fees.priority_fee,
        purpose=purpose,
    )


def nothing(config: SenderConfig, nonce: int, gas: int, fees: FeeQuote) -> SelfTransferIntent:
    """Spend a nonce."""
    return SelfTransferIntent(config.chain_id, config.wallet, nonce, gas, fees.max_fee, fees.priority_fee)


def again(
    config: SenderConfig, transaction: Transaction, operation: Operation | None, nonce: int, fees: FeeQuote
) -> Intent:
    """The same as was signed already, at the same nonce, for another fee."""
    gas = transaction.gas_limit or config.gas_limit
    if operation is None:
        return nothing(config, nonce, gas, fees)
    return movement(config, operation, nonce, transaction.amount, gas, fees)
