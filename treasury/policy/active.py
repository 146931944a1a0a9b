"""The active policy's verdict on payouts and sweeps. Implements `ports.PolicyPort` and `sweeps.proposals.Planner`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import to_checksum
from kit.http.problems import Problem
from kit.money import format_units
from treasury import balances
from treasury.cold.identity import ColdPin
from treasury.core.asset_policy import AssetPolicy
from treasury.core.assets import GAS_ASSET, MUSD, MUSD_DECIMALS
from treasury.core.hot_wallets import HotWallet
from treasury.core.status import Status
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.policy import planner
from treasury.policy import service as policy_service
from treasury.policy.model import PayoutLimits
from treasury.policy.planner import Nothing, PlannedSweep, Refusal, Snapshot
from treasury.policy.signed_payouts import signed_since
from treasury.policy.version import Version
from treasury.ports import PurchaseBook, WalletView
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep
from treasury.sweeps.proposals import Plan
from treasury.sweeps.states import SweepKind

DAY: Final = timedelta(days=1)


class ActivePolicy:
    """Judges payouts and sweeps by the active policy. It is read from the database each time: a change applies at once, in every process."""

    def __init__(self, wallet: HotWallet, *, cold: ColdPin | None, purchases: PurchaseBook) -> None:
        """Judge for one wallet. `cold` is the pin in this process's environment; if the active version pins another cold wallet, nothing is swept."""
        self._scope = wallet.key
        self._wallet = wallet.address
        self._cold = cold
        self._purchases = purchases

    async def exceeded_limits(
        self, conn: AsyncConnection, payouts: Sequence[Payout], now: datetime
    ) -> list[str | None]:
        """Return for each payout the first limit that it exceeds, as a sentence; None if it exceeds none.

        The policy's limits are compared before the seller's; earlier payouts of the list count as paid. Raises LookupError if no policy is
        active.
        """
        limits = (await self._active(conn)).terms.policy.payouts
        paid = await signed_since(conn, payouts, now - DAY)
        exceeded: list[str | None] = []
        for payout in payouts:
            paid += payout.amount
            exceeded.append(_exceeded(limits, payout.amount, paid))
        by_seller = await self._purchases.exceeded_limits(conn, payouts, now)
        return [limit or other for limit, other in zip(exceeded, by_seller, strict=True)]

    async def destination_objection(self, conn: AsyncConnection, sweep: Sweep) -> str | None:
        """Return None if the sweep goes to the Safe that both the active policy and this process's settings pin, else an objection.

        Another cold wallet takes two persons and, in production, a day. A panic is no way around that.
        """
        cold = (await self._active(conn)).terms.cold
        if cold is None or cold != self._cold or sweep.to != cold.address:
            return "COLD_SAFE: this is not the cold wallet that the active policy pins"
        return None

    async def sweep_objection(self, conn: AsyncConnection, sweep: Sweep, view: WalletView, now: datetime) -> str | None:
        """Return why the planner would refuse this sweep, or plan another amount, if it were proposed now; None if it would plan the same."""
        active = await self._active(conn)
        asset = active.terms.policy.assets.get(sweep.asset)
        if asset is None or asset.token != sweep.token:
            return f"assets.{sweep.asset}: the active policy does not list this token"
        first = not await sweeps_service.any_arrived(conn, sweep.chain_id, sweep.to)
        on_chain = {MUSD: view.token, GAS_ASSET: view.native}.get(asset.symbol)
        if on_chain is None:
            on_chain, _ = await balances.on_chain_of(conn, self._wallet, asset.symbol)
        snapshot = await self.snapshot(
            conn, asset, first=first, now=now, excluding=sweep, balance=(on_chain, view.block_number)
        )
        verdict = planner.plan(snapshot, sweep.amount)
        if isinstance(verdict, PlannedSweep):
            return None if verdict.amount == sweep.amount else verdict.purpose
        return verdict.detail if isinstance(verdict, Refusal) else verdict.purpose

    async def version(self, conn: AsyncConnection) -> str:
        """Return the active version's number."""
        return str((await self._active(conn)).version)

    async def max_fee(self, conn: AsyncConnection) -> int | None:
        """Return `fees.max_fee_gwei` of the active policy in wei for each unit of gas; None if it names no limit."""
        return (await self._active(conn)).terms.policy.max_fee

    async def max_batch(self, conn: AsyncConnection) -> int:
        """Return `payouts.max_batch` of the active policy: how many payouts one transaction may pay."""
        return (await self._active(conn)).terms.policy.contract.max_batch

    def is_sanctioned(self, payout: Payout) -> bool:
        """Return whether the payout's recipient is on the sanctions list and no person has cleared the payout."""
        return payout.cleared_by is None and self._purchases.is_sanctioned(to_checksum(payout.to))

    async def unscreened(self, payouts: Sequence[Payout]) -> set[str]:
        """Return the ids of payouts that no person cleared and whose recipient cannot be screened at present. Nodes may be asked."""
        recipients = {payout.id: to_checksum(payout.to) for payout in payouts if payout.cleared_by is None}
        unscreened = await self._purchases.unscreened(list(recipients.values()))
        return {payout_id for payout_id, recipient in recipients.items() if recipient in unscreened}

    async def apply_due(self, conn: AsyncConnection, now: datetime) -> str | None:
        """Activate the approved version whose wait is over; return its number, or None if none was due. Raises Problem."""
        applied = await policy_service.apply_due(conn, self._scope, now=now)
        return None if applied is None else str(applied.version)

    async def plan(self, conn: AsyncConnection, asset: str, amount: int | None, *, first: bool, now: datetime) -> Plan:
        """Return the sweep that would be made. Raises Problem `policy_refused`, `insufficient_available` or `already_active`.

        The problem's detail begins with the rule.
        """
        active = await self._active(conn)
        asset_policy = active.terms.policy.assets.get(asset)
        if asset_policy is None:
            symbols = ", ".join(sorted(active.terms.policy.assets))
            raise Problem(409, "policy_refused", f"assets: the policy lists {symbols}, not {asset[:16]}.")
        self._require_pinned(active)
        verdict = planner.plan(await self.snapshot(conn, asset_policy, first=first, now=now), amount)
        if isinstance(verdict, Refusal):
            raise Problem(409, verdict.code, verdict.detail)
        if isinstance(verdict, Nothing):
            raise Problem(409, "policy_refused", f"nothing to sweep: {verdict.purpose}.")
        return self._plan(active, asset_policy, verdict)

    async def panic(self, conn: AsyncConnection) -> list[Plan]:
        """Return a plan for the whole balance of each asset that has one: tokens first, then the gas token, which pays for them. Raises Problem."""
        active = await self._active(conn)
        self._require_pinned(active)
        plans = []
        for asset in sorted(active.terms.policy.assets.values(), key=lambda asset: asset.symbol == GAS_ASSET):
            amount, _ = await balances.on_chain_of(conn, self._wallet, asset.symbol)
            if amount:
                plans.append(self._plan(active, asset, PlannedSweep(amount, "panic: the hot wallet is emptied", True)))
        return plans

    async def due(self, conn: AsyncConnection) -> list[str]:
        """Return the symbols of the assets whose available balance is above their ceiling."""
        limited = [asset for asset in await self.assets(conn) if asset.ceiling is not None]
        return [asset.symbol for asset in limited if planner.due(await self.snapshot(conn, asset))]

    async def every(self, conn: AsyncConnection) -> timedelta | None:
        """Return `sweeps.every_minutes` of the active policy; None for 0, which means no schedule."""
        minutes = (await self._active(conn)).terms.policy.every_minutes
        return timedelta(minutes=minutes) if minutes else None

    async def assets(self, conn: AsyncConnection) -> list[AssetPolicy]:
        """Return the assets that the active policy lists."""
        return list((await self._active(conn)).terms.policy.assets.values())

    async def decimals(self, conn: AsyncConnection) -> dict[str, int]:
        """Return the decimals of each asset that the active policy or one of the 50 newest versions lists, the gas token last."""
        decimals: dict[str, int] = {}
        for version in [*await policy_service.history(conn, self._scope), await self._active(conn)]:
            decimals |= {symbol: asset.decimals for symbol, asset in version.terms.policy.assets.items()}
        return {
            symbol: decimals[symbol] for symbol in sorted(decimals, key=lambda symbol: (symbol == GAS_ASSET, symbol))
        }

    async def snapshot(
        self,
        conn: AsyncConnection,
        asset: AssetPolicy,
        *,
        first: bool = False,
        now: datetime | None = None,
        excluding: Sweep | None = None,
        balance: tuple[int, int | None] | None = None,
    ) -> Snapshot:
        """Return the planner's input for one asset, from the database.

        `excluding` is a sweep to leave out of every sum. `balance` is (base units, block) in place of the stored balance. Without `now`
        nothing counts as swept: whether the scheduler has to act does not depend on it.
        """
        symbol, wallet = asset.symbol, self._wallet
        on_chain, block = balance or await balances.on_chain_of(conn, wallet, symbol)
        reserved = [
            await payouts_service.reserved(conn, wallet, symbol, block, balance=on_chain),
            await sweeps_service.reserved(conn, wallet, symbol, block),
        ]
        swept = 0 if now is None else await sweeps_service.swept_since(conn, wallet, symbol, now - DAY)
        active = None
        for other in await sweeps_service.active(conn, wallet, SweepKind.SWEEP):
            if other.asset == symbol and (excluding is None or other.id != excluding.id):
                active = other.id
        if excluding is not None:
            reserved[1] -= excluding.amount if excluding.status in {Status.APPROVED, Status.HELD} else 0
            swept -= excluding.amount if now is not None else 0
        processing = await self._purchases.processing(conn) if symbol == MUSD else 0
        return Snapshot(asset, on_chain, reserved, processing, swept, active, first)

    async def _active(self, conn: AsyncConnection) -> Version:
        return await policy_service.require_active(conn, self._scope)

    def _require_pinned(self, active: Version) -> None:
        if active.terms.cold is None or active.terms.cold != self._cold:
            detail = "COLD_SAFE: the environment and the active policy do not name the same cold wallet."
            raise Problem(409, "policy_refused", detail)

    @staticmethod
    def _plan(active: Version, asset: AssetPolicy, planned: PlannedSweep) -> Plan:
        return Plan(
            asset=asset.symbol,
            token=asset.token,
            amount=planned.amount,
            purpose=planned.purpose,
            approval_needed=planned.approval_needed,
            policy_version=str(active.version),
            expires_after=timedelta(hours=active.terms.policy.approval_expires_hours),
            decimals=asset.decimals,
        )


def _exceeded(limits: PayoutLimits, amount: int, paid: int) -> str | None:
    """Return the limit that a payout exceeds; `paid` is the sum of the last 24 hours, including this payout."""
    for name in ("approval_above", "max_per_transaction"):
        limit = getattr(limits, name)
        if amount > limit:
            return f"payouts.{name}: it is above {format_units(limit, MUSD_DECIMALS)} MUSD"
    if paid > limits.max_per_day:
        limit = format_units(limits.max_per_day, MUSD_DECIMALS)
        return f"payouts.max_per_day: the last 24 hours would take more than {limit} MUSD"
    return None
