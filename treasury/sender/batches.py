"""Choose which payouts one transaction pays through PayOnce, and make the contract's last check before a nonce exists.

The contract pays no reference twice, so its record decides what is paid, whatever the database remembers: after a restore, after another
deployment, and after another hot wallet.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from chain.abi.payonce import encode_pay
from chain.types import Address
from treasury.core import hot_wallets
from treasury.core.reasons import Reason
from treasury.ports import WalletView
from treasury.sender.context import SenderContext
from treasury.sender.holds import ReadyOperation, hold
from treasury.sender.intents import payment_to
from treasury.sender.pipeline import Batch
from treasury.signers.intent import MAX_PAYMENTS, max_pay_gas

MAX_GAS: Final = 8_000_000
"""The highest gas limit of a batch: a block of Mezo has 10,000,000 (docs/upgrades.md of mezo-org/mezod), and needs room for others."""


class Prepared(NamedTuple):
    """The batch to be signed now, None if nothing can be; `has_more`: payouts were left out that the next step may pay."""

    batch: Batch | None
    has_more: bool


class Batches:
    """Prepares the batches of one wallet."""

    def __init__(self, context: SenderContext) -> None:
        self._context = context

    async def size(self) -> int:
        """Return how many payouts one transaction may pay, by the active policy."""
        async with self._context.database.read() as conn:
            return min(MAX_PAYMENTS, await self._context.policy.max_batch(conn))

    async def prepare(self, contract: Address, ready: Sequence[ReadyOperation], view: WalletView) -> Prepared:
        """Return the first of these payouts that can be paid together.

        A payout whose reference is paid, or whose payment the nodes refuse by itself, is held. Raises ChainError.
        """
        distinct = _one_for_each_recipient(ready)
        # Together, so that the nodes' distance counts once: almost always nothing is paid, and the estimate is that of what is signed.
        paid, gas_limit = await asyncio.gather(
            self._blocks_of_paid(contract, distinct, view), self._estimate(contract, distinct)
        )
        unpaid = await self._hold_paid(distinct, paid)
        chosen = unpaid
        while chosen:
            if len(chosen) < len(distinct):
                gas_limit = await self._estimate(contract, chosen)
            if gas_limit is not None:
                return Prepared(Batch(chosen, gas_limit), has_more=len(chosen) < len(ready))
            if len(chosen) == 1:
                note = "the nodes refuse a transaction that makes this payment alone"
                await hold(self._context, chosen[0].operation, Reason.RECIPIENT_REFUSED, note)
                return Prepared(None, has_more=True)
            # The first half again and again, until the payment that makes it fail stands alone.
            chosen = chosen[: len(chosen) // 2]
        return Prepared(None, has_more=len(unpaid) < len(ready))

    async def _estimate(self, contract: Address, ready: Sequence[ReadyOperation]) -> int | None:
        payments = [payment_to(payout) for payout in Batch(ready, 0).payouts]
        # What the signer would refuse is too much: as for a batch that would fail, fewer payments are tried.
        ceiling = min(MAX_GAS, max_pay_gas(len(payments)))
        calldata = encode_pay(self._context.config.token, payments)
        return await self._context.chain.estimate_call(contract, calldata, ceiling)

    async def _blocks_of_paid(
        self, contract: Address, ready: Sequence[ReadyOperation], view: WalletView
    ) -> Mapping[Address, Mapping[bytes, int]]:
        """Return for this hot wallet and each earlier one the block in which it paid each reference, 0 for never, by the contract's record."""
        context, config = self._context, self._context.config
        async with context.database.read() as conn:
            earlier = await hot_wallets.others(conn, config.chain_id, config.wallet)
        payers, references = (config.wallet, *earlier), [_reference_of(entry) for entry in ready]
        blocks = await asyncio.gather(
            *(context.chain.paid(contract, payer, references, view.block_number) for payer in payers)
        )
        return dict(zip(payers, blocks, strict=True))

    async def _hold_paid(
        self, ready: Sequence[ReadyOperation], paid: Mapping[Address, Mapping[bytes, int]]
    ) -> list[ReadyOperation]:
        """Hold the payouts whose reference is paid; return the others."""
        unpaid = []
        for entry in ready:
            reference = _reference_of(entry)
            blocks = {payer: blocks[reference] for payer, blocks in paid.items() if blocks[reference]}
            if not blocks:
                unpaid.append(entry)
                continue
            payer, block = next(iter(blocks.items()))
            note = f"PayOnce has paid its reference in block {block} from {payer}"
            await hold(self._context, entry.operation, Reason.REFERENCE_SPENT, note)
        return unpaid


def _reference_of(ready: ReadyOperation) -> bytes:
    return bytes.fromhex(ready.operation.reference[2:])


def _one_for_each_recipient(ready: Sequence[ReadyOperation]) -> list[ReadyOperation]:
    """Return the first payout to each recipient: a transaction proves a delivery by its one Transfer to the recipient."""
    first: dict[str, ReadyOperation] = {}
    for entry in ready:
        first.setdefault(entry.operation.to, entry)
    return list(first.values())
