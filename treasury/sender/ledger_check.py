"""The leader compares ledger and chain, at the block of one of its views, and stops signing where coins are gone."""

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
from treasury.rotation import earlier_wallets
from treasury.sender.context import SenderContext

SECONDS: Final = 60.0


class Reconciler:
    """Asked once a cycle by whoever leads; keeps its own pace."""

    def __init__(self, desk: SenderContext) -> None:
        """Whether anything is gone is read from the ledger at first, and while it is so."""
        self._desk = desk
        self._gone: bool | None = None
        self._view: WalletView | None = None

    def forget(self) -> None:
        """A block was taken back: what was read of the wallet may be of a branch that is gone."""
        self._view = None

    async def agrees(self, view: WalletView) -> bool:
        """Whether signing may go on: of no token has anything left the wallet without a row.

        A token leaves by a signature of the wallet alone, and not each takes a nonce: a permit (EIP-2612), which MUSD and others
        take, is signed without a transaction. The gas token alarms, and stops nothing: what transactions cost is one node's word.
        """
        desk, config = self._desk, self._desk.config
        if self._view is None and desk.pace.due("reconcile", SECONDS):
            self._view = view
        # Compared at the view that was taken then, once all that was mined up to it is settled: a pipeline that never
        # rests has always something that is mined and not settled, but only for some blocks the same.
        if self._view is not None and await self._look(self._view):
            self._view = None
        if self._gone is not False:
            async with desk.database.read() as conn:
                tokens = [asset for asset in await ledger_service.assets(conn, config.wallet) if asset != GAS_ASSET]
                books = [await ledger_service.balances(conn, config.wallet, asset) for asset in tokens]
            self._gone = any(book.get(Account.SUSPENSE, 0) > 0 for book in books)
        return not self._gone

    async def _look(self, view: WalletView) -> bool:
        desk, config = self._desk, self._desk.config
        async with desk.database.read() as conn:
            if await has_unsettled(conn, desk.hot_wallet, view):
                return False
            if await view_is_stale(conn, desk.hot_wallet, view):
                return True  # nothing can be said of it; another view is taken a minute later
        while True:
            async with desk.database.read() as conn:
                decided = await missing_gas_postings(conn, desk.hot_wallet)
            costs = await gas_costs(desk.chain, decided)
            if len(decided) < BATCH_SIZE or not all(costs.values()):
                break
            async with desk.leader.write() as conn:
                await post_costs(conn, config.wallet, decided, costs, now=desk.clock.now())
        async with desk.database.read() as conn:
            listed = await desk.rules.assets(conn)
        others = await other_balances_at(desk.chain, listed, config.token, view.block_number)
        async with desk.leader.write() as conn:
            now = desk.clock.now()
            found = await compare(conn, config.wallet, config.asset, view, decided, costs, now=now, others=others)
            # Stripe owes what earlier wallets paid for, too, and nobody else tells how long.
            waiting = await usdc.receivable(conn, [config.wallet, *await earlier_wallets(conn, config.wallet)])
        decimals = {asset.symbol: asset.decimals for asset in listed}
        for difference in found:
            self._tell(difference, decimals.get(difference.asset, 18))
        age = max(((now - one.since).total_seconds() for one in waiting), default=0.0)
        desk.metrics.receivable(sum(one.amount for one in waiting), age)
        return True

    def _tell(self, difference: Difference, decimals: int) -> None:
        desk = self._desk
        desk.metrics.ledger_difference(difference.asset, difference.suspense, decimals)
        if difference.suspense > 0:
            self._gone = None
            desk.alarms.ring("ledger_difference", difference.asset, suspense=difference.suspense)
        else:
            desk.alarms.clear("ledger_difference", difference.asset)
