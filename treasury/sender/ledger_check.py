"""Decide when the leader compares ledger and chain, and stop signing while coins are gone.

`treasury.reconciliation` compares and posts at one block; this module chooses the block, raises the alarm and answers the sender.
"""

from collections.abc import Mapping
from typing import Final

from treasury.core.assets import GAS_ASSET
from treasury.ledger import service as ledger_service
from treasury.ledger import usdc
from treasury.ledger.states import Account
from treasury.ports import WalletView
from treasury.reconciliation import (
    BATCH_SIZE,
    Difference,
    compare,
    gas_costs,
    has_unsettled,
    missing_gas_postings,
    other_balances_at,
    post_costs,
    view_is_stale,
)
from treasury.sender.context import SenderContext
from treasury.transactions.model import Transaction
from treasury.wallet_rotation import earlier_wallets

INTERVAL_SECONDS: Final = 60.0


class LedgerCheck:
    """Compares ledger and chain once a minute. The leader calls it in each cycle."""

    def __init__(self, context: SenderContext) -> None:
        self._context = context
        self._any_gone: bool | None = None
        """Whether a token is missing coins; None if that has to be read from the ledger."""
        self._view: WalletView | None = None
        """The view that is to be compared; None until the next comparison is due."""

    def forget_view(self) -> None:
        """Drop the view that is to be compared: after a reorganisation it may be of a branch that is gone."""
        self._view = None

    async def agrees(self, view: WalletView) -> bool:
        """Return whether signing may go on: no token has left the wallet without a row that explains it.

        Tokens leave by a signature of the wallet alone, and not every signature uses a nonce: a permit (EIP-2612), which MUSD and
        others accept, is signed without a transaction. A difference of the gas token raises an alarm and stops nothing, because the
        costs of transactions come from one node.
        """
        context, config = self._context, self._context.config
        if self._view is None and context.throttle.due("reconcile", INTERVAL_SECONDS):
            self._view = view
        # The same view is compared once all transactions mined up to it are settled. A busy pipeline always has transactions that are
        # mined and not settled, but those of one block only for a few blocks.
        if self._view is not None and await self._compare(self._view):
            self._view = None
        if self._any_gone is not False:
            async with context.database.read() as conn:
                tokens = [asset for asset in await ledger_service.assets(conn, config.wallet) if asset != GAS_ASSET]
                balances = [await ledger_service.balances(conn, config.wallet, asset) for asset in tokens]
            self._any_gone = any(accounts.get(Account.SUSPENSE, 0) > 0 for accounts in balances)
        return not self._any_gone

    async def _compare(self, view: WalletView) -> bool:
        """Compare ledger and chain at `view`. Return False if that must wait until the transactions that the view counts are settled."""
        context, config = self._context, self._context.config
        async with context.database.read() as conn:
            if await has_unsettled(conn, context.hot_wallet, view):
                return False
            if await view_is_stale(conn, context.hot_wallet, view):
                return True  # nothing can be concluded from it; another view is taken a minute later
        decided, costs = await self._post_gas_costs()
        async with context.database.read() as conn:
            assets = await context.policy.assets(conn)
        others = await other_balances_at(context.chain, assets, config.token, view.block_number)
        async with context.leader.write() as conn:
            now = context.clock.now()
            differences = await compare(conn, config.wallet, config.asset, view, decided, costs, now=now, others=others)
            # Stripe also owes for what earlier wallets paid, and no other place shows for how long.
            receivables = await usdc.receivable(conn, [config.wallet, *await earlier_wallets(conn, config.wallet)])
        decimals = {asset.symbol: asset.decimals for asset in assets}
        for difference in differences:
            self._report(difference, decimals.get(difference.asset, 18))
        age = max(((now - receivable.since).total_seconds() for receivable in receivables), default=0.0)
        context.metrics.receivable(sum(receivable.amount for receivable in receivables), age)
        return True

    async def _post_gas_costs(self) -> tuple[list[Transaction], Mapping[str, int | None]]:
        """Post gas costs in batches; return the last batch, which `compare` posts, with its costs in wei by transaction."""
        context = self._context
        while True:
            async with context.database.read() as conn:
                decided = await missing_gas_postings(conn, context.hot_wallet)
            costs = await gas_costs(context.chain, decided)
            if len(decided) < BATCH_SIZE or not all(costs.values()):
                return decided, costs
            async with context.leader.write() as conn:
                await post_costs(conn, context.config.wallet, decided, costs, now=context.clock.now())

    def _report(self, difference: Difference, decimals: int) -> None:
        context = self._context
        context.metrics.ledger_difference(difference.asset, difference.suspense, decimals)
        if difference.suspense > 0:
            self._any_gone = None
            context.alarms.raise_alarm("ledger_difference", difference.asset, suspense=difference.suspense)
        else:
            context.alarms.clear("ledger_difference", difference.asset)
