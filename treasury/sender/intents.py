"""What the signer is asked for, out of what the sender has decided or has already signed once."""

from treasury.ports import FeeQuote
from treasury.sender.desk import SenderConfig
from treasury.signers.intent import TransferIntent
from treasury.transactions.table import Transaction


def intent_for(
    config: SenderConfig, nonce: int, token: str, to: str, amount: int, reference: str | None, gas: int, fees: FeeQuote
) -> TransferIntent:
    """Move `amount` of `token` to `to`; `reference` as 0x and 64 hex digits."""
    return TransferIntent(
        chain_id=config.chain_id,
        wallet=config.wallet,
        nonce=nonce,
        token=token,
        to=to,
        amount=amount,
        reference=None if reference is None else bytes.fromhex(reference[2:]),
        gas_limit=gas,
        max_fee=fees.max_fee,
        priority_fee=fees.priority_fee,
    )


def again(config: SenderConfig, transaction: Transaction, nonce: int, gas: int, fees: FeeQuote) -> TransferIntent:
    """The same movement at the same nonce for another fee."""
    reference = transaction.reference
    return intent_for(config, nonce, transaction.token, transaction.to, transaction.amount, reference, gas, fees)
