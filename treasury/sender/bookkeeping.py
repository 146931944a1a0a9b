"""The leader's records besides sending: balances, counts by status, and the policy that is due."""

from collections.abc import Mapping
from typing import Final

from kit.http.problems import Problem
from treasury import balances
from treasury.core.assets import GAS_ASSET
from treasury.payouts import service as payouts_service
from treasury.ports import WalletView
from treasury.reconciliation import other_balances_at
from treasury.sender.context import SenderContext, log
from treasury.sweeps import service as sweeps_service
from treasury.transactions import queries

_STATUS_SECONDS: Final = 15.0


class Bookkeeping:
    """Writes balances and metrics where they may have changed, and renews the lease in time."""

    def __init__(self, context: SenderContext) -> None:
        self._context = context
        self._recorded: WalletView | None = None

    async def apply_due_policy(self) -> None:
        """Activate approved terms whose wait is over, so that they apply from now on and not from the next start."""
        context = self._context
        if not context.throttle.due("policy", _STATUS_SECONDS):
            return
        try:
            async with context.leader.write() as conn:
                version = await context.policy.apply_due(conn, context.clock.now())
        except Problem as problem:
            log.info("treasury.policy_not_applied", reason=str(problem))
        else:
            if version is not None:
                log.warning("treasury.policy_applied", version=version)

    async def record_balances(self, view: WalletView) -> None:
        """Record the view's balances if it is a new one or the lease is to be renewed, and the balances of other tokens less often."""
        context, config = self._context, self._context.config
        if view == self._recorded and not context.throttle.due("lease", config.lease_seconds / 3):
            return
        self._recorded = view
        await self._record({config.asset: view.token, GAS_ASSET: view.native}, view)
        context.metrics.nonce(view.nonce)
        if not context.throttle.due("balances", _STATUS_SECONDS / 3):
            return
        async with context.database.read() as conn:
            assets = await context.policy.assets(conn)
        others = await other_balances_at(context.chain, assets, config.token, view.block_number)
        await self._record(others, view)
        decimals = {asset.symbol: asset.decimals for asset in assets}
        async with context.database.read() as conn:
            for asset in (config.asset, GAS_ASSET, *others):
                available = await balances.available(conn, config.wallet, asset)
                context.metrics.balance(asset, available, decimals.get(asset, 18))
        for asset_policy in assets:
            context.metrics.limits(asset_policy)

    async def _record(self, amounts: Mapping[str, int], view: WalletView) -> None:
        """Store the chain's balances at the view's block, in base units; the write renews the lease."""
        context, now = self._context, self._context.clock.now()
        if not amounts:
            return
        async with context.leader.write() as conn:
            for asset, amount in amounts.items():
                await balances.refresh(
                    conn, context.hot_wallet, asset, amount=amount, block_number=view.block_number, now=now
                )

    async def count(self) -> bool:
        """Return whether anything is in flight; every fifteen seconds also report how many payouts and sweeps are in each status."""
        context = self._context
        async with context.database.read() as conn:
            in_flight = await queries.any_in_flight(conn, context.hot_wallet)
            due = context.throttle.due("counts", _STATUS_SECONDS)
            payouts = await payouts_service.count_by_status(conn) if due else None
            sweeps = await sweeps_service.count_by_status(conn) if due else None
        if payouts is not None:
            context.metrics.payouts(payouts)
        if sweeps is not None:
            context.metrics.sweeps(sweeps)
        return in_flight
