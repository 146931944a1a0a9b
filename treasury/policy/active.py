"""The active policy as the sender and the orders ask it. Implements `ports.PolicyPort` and `sweeps.ordering.Planner`."""

from collections.abc import Awaitable, Callable, Collection, Container, Sequence
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import Address, to_checksum
from kit.db.types import in_array
from kit.http.problems import Problem
from kit.money import format_units
from treasury import balances
from treasury.cold.identity import ColdPin
from treasury.core import aggregates
from treasury.core.assets import GAS_ASSET, MUSD, MUSD_DECIMALS
from treasury.core.hot_wallets import HotWallet
from treasury.core.status import Status
from treasury.payouts import service as payouts_service
from treasury.payouts.table import Payout
from treasury.payouts.table import payouts as payouts_table
from treasury.policy import planner
from treasury.policy import service as policy_service
from treasury.policy.model import AssetPolicy, PayoutLimits
from treasury.policy.planner import Movement, Nothing, Refusal, Snapshot
from treasury.policy.table import Version
from treasury.ports import WalletView
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.proposals import Plan
from treasury.sweeps.states import Kind
from treasury.sweeps.table import Sweep
from treasury.transactions.table import transactions

DAY: Final = timedelta(days=1)
Promised = Callable[[AsyncConnection], Awaitable[int]]
"""MUSD, in base units, of buyers whose payment is under way."""
Ask = Callable[[Sequence[Address]], Awaitable[Collection[Address]]]
"""Ask of these recipients (EIP-55) what has to be asked over the network; those of whom nothing can be said just now."""
Above = Callable[[AsyncConnection, Sequence[Payout], datetime], Awaitable[Sequence[str | None]]]
"""For each payout, those before it counted as paid: a limit beside the policy's that it is above, as a sentence."""


_PAID: Final = aggregates.total_of(
    aggregates.of_asset(payouts_table)
    # By both ends, so that the plan may begin with what the last day signed instead of with all payouts.
    .join(
        transactions,
        sa.and_(transactions.c.id == payouts_table.c.transaction_id, transactions.c.operation_id == payouts_table.c.id),
    )
    .where(
        payouts_table.c.status.not_in([Status.REJECTED, Status.CANCELLED, Status.REVERTED]),
        sa.not_(in_array(payouts_table.c.id, "besides")),
        transactions.c.created_at >= sa.bindparam("since"),
    )
)


def _above(limits: PayoutLimits, amount: int, paid: int) -> str | None:
    """`paid`: in the last 24 hours, with this one."""
    for name in ("approval_above", "max_per_transaction"):
        most = getattr(limits, name)
        if amount > most:
            return f"payouts.{name}: it is above {format_units(most, MUSD_DECIMALS)} MUSD"
    if paid > limits.max_per_day:
        most = limits.max_per_day
        return f"payouts.max_per_day: the last 24 hours would take more than {format_units(most, MUSD_DECIMALS)} MUSD"
    return None


async def _all_known(addresses: Sequence[Address]) -> Collection[Address]:
    del addresses
    return ()


async def _none_above(conn: AsyncConnection, queue: Sequence[Payout], now: datetime) -> Sequence[str | None]:
    del conn, now
    return [None] * len(queue)


async def _nothing(conn: AsyncConnection) -> int:
    del conn
    return 0


class ActivePolicy:
    """Asks the row each time: a change of the policy holds at once, in every process."""

    def __init__(
        self,
        wallet: HotWallet,
        *,
        cold: ColdPin | None,
        promised: Promised = _nothing,
        refused: Container[str] = (),
        ask: Ask = _all_known,
        above: Above = _none_above,
    ) -> None:
        """`cold` is the pin of this process's environment; where the active row pins another, nothing is swept.

        `refused` is asked for each payout anew, with an EIP-55 address, after `ask` was; `above` names a limit beside the policy's that a person must approve.
        """
        self._scope = wallet.key
        self._wallet = wallet.address
        self._cold = cold
        self._promised = promised
        self._refused = refused
        self._ask = ask
        self._above = above

    async def payouts_above(self, conn: AsyncConnection, payouts: Sequence[Payout], now: datetime) -> list[str | None]:
        """The first limit that each is above, as a sentence; the day counts those before it as paid."""
        limits = (await self._active(conn)).terms.policy.payouts
        paid, found = await self._paid(conn, payouts, now - DAY), list[str | None]()
        for payout in payouts:
            paid += payout.amount
            found.append(_above(limits, payout.amount, paid))
        others = await self._above(conn, payouts, now)
        return [rule or other for rule, other in zip(found, others, strict=True)]

    async def destination_objection(self, conn: AsyncConnection, sweep: Sweep) -> str | None:
        """Another cold wallet takes two persons and, in production, a day: a panic is no way around them."""
        cold = (await self._active(conn)).terms.cold
        if cold is None or cold != self._cold or sweep.to != cold.address:
            return "COLD_SAFE: this is not the cold wallet that the active policy pins"
        return None

    async def sweep_objection(self, conn: AsyncConnection, sweep: Sweep, view: WalletView, now: datetime) -> str | None:
        """The plan made anew, as if this sweep had not been proposed yet."""
        active = await self._active(conn)
        asset = active.terms.policy.assets.get(sweep.asset)
        if asset is None or asset.token != sweep.token:
            return f"assets.{sweep.asset}: the active policy does not list this token"
        first = not await sweeps_service.any_arrived(conn, sweep.chain_id, sweep.to)
        on_chain = {MUSD: view.token, GAS_ASSET: view.native}.get(asset.symbol)
        if on_chain is None:
            on_chain, _ = await balances.on_chain_of(conn, self._wallet, asset.symbol)
        snapshot = await self.snapshot(
            conn, asset, first=first, now=now, besides=sweep, seen=(on_chain, view.block_number)
        )
        verdict = planner.plan(snapshot, sweep.amount)
        if isinstance(verdict, Movement):
            return None if verdict.amount == sweep.amount else verdict.purpose
        return verdict.detail if isinstance(verdict, Refusal) else verdict.purpose

    async def version(self, conn: AsyncConnection) -> str:
        """The active version's number."""
        return str((await self._active(conn)).version)

    async def max_fee(self, conn: AsyncConnection) -> int | None:
        """`fees.max_fee_gwei`, in wei."""
        return (await self._active(conn)).terms.policy.max_fee

    def listed(self, payout: Payout) -> bool:
        """Whether the list of those not to be paid has its recipient, and no person cleared it."""
        return payout.cleared_by is None and to_checksum(payout.to) in self._refused

    async def unscreened(self, payouts: Sequence[Payout]) -> set[str]:
        """Ids of those of whose recipient nothing can be said just now, a person's word apart. Nodes may be asked."""
        unknown = await self._ask([to_checksum(payout.to) for payout in payouts if payout.cleared_by is None])
        return {payout.id for payout in payouts if payout.cleared_by is None and to_checksum(payout.to) in unknown}

    async def apply_due(self, conn: AsyncConnection, now: datetime) -> str | None:
        """The number of the version that counts from now on; None where none was due. Raises Problem."""
        applied = await policy_service.apply_due(conn, self._scope, now=now)
        return None if applied is None else str(applied.version)

    async def plan(self, conn: AsyncConnection, asset: str, amount: int | None, *, first: bool, now: datetime) -> Plan:
        """What would be swept. Raises Problem with the interface's code, its detail beginning with the rule."""
        active = await self._active(conn)
        rules = active.terms.policy.assets.get(asset)
        if rules is None:
            known = ", ".join(sorted(active.terms.policy.assets))
            raise Problem(409, "policy_refused", f"assets: the policy lists {known}, not {asset[:16]}.")
        self._require_pinned(active)
        verdict = planner.plan(await self.snapshot(conn, rules, first=first, now=now), amount)
        if isinstance(verdict, Refusal):
            raise Problem(409, verdict.code, verdict.detail)
        if isinstance(verdict, Nothing):
            raise Problem(409, "policy_refused", f"nothing to sweep: {verdict.purpose}.")
        return self._plan(active, rules, verdict)

    async def panic(self, conn: AsyncConnection) -> list[Plan]:
        """Everything of every asset that has a balance: tokens, then the gas token, which pays for them. Raises Problem."""
        active = await self._active(conn)
        self._require_pinned(active)
        plans = []
        for asset in sorted(active.terms.policy.assets.values(), key=lambda one: one.symbol == GAS_ASSET):
            amount, _ = await balances.on_chain_of(conn, self._wallet, asset.symbol)
            if amount:
                plans.append(self._plan(active, asset, Movement(amount, "panic: the hot wallet is emptied", True)))
        return plans

    async def due(self, conn: AsyncConnection) -> list[str]:
        """Those above their ceiling."""
        listed = [asset for asset in await self.assets(conn) if asset.ceiling is not None]
        return [asset.symbol for asset in listed if planner.due(await self.snapshot(conn, asset))]

    async def every(self, conn: AsyncConnection) -> timedelta | None:
        """`sweeps.every_minutes`; None for 0."""
        minutes = (await self._active(conn)).terms.policy.every_minutes
        return timedelta(minutes=minutes) if minutes else None

    async def assets(self, conn: AsyncConnection) -> list[AssetPolicy]:
        """What the active policy lists, for those who show it."""
        return list((await self._active(conn)).terms.policy.assets.values())

    async def decimals(self, conn: AsyncConnection) -> dict[str, int]:
        """Decimals of each asset that this or an earlier version lists; what is paid out first, the gas token last."""
        known: dict[str, int] = {}
        for version in [*await policy_service.history(conn, self._scope), await self._active(conn)]:
            known |= {symbol: asset.decimals for symbol, asset in version.terms.policy.assets.items()}
        return {symbol: known[symbol] for symbol in sorted(known, key=lambda one: (one == GAS_ASSET, one))}

    async def snapshot(
        self,
        conn: AsyncConnection,
        asset: AssetPolicy,
        *,
        first: bool = False,
        now: datetime | None = None,
        besides: Sweep | None = None,
        seen: tuple[int, int | None] | None = None,
    ) -> Snapshot:
        """One asset as the rows say; `besides` is the sweep that is asked about, `seen` a balance and its block.

        Without `now` nothing is counted as swept: whether the sweeper is due does not depend on it.
        """
        symbol, wallet = asset.symbol, self._wallet
        on_chain, block = seen or await balances.on_chain_of(conn, wallet, symbol)
        holds = [
            await payouts_service.reserved(conn, wallet, symbol, block, balance=on_chain),
            await sweeps_service.reserved(conn, wallet, symbol, block),
        ]
        swept = 0 if now is None else await sweeps_service.swept_since(conn, wallet, symbol, now - DAY)
        active = None
        for other in await sweeps_service.active(conn, wallet, Kind.SWEEP):
            if other.asset == symbol and (besides is None or other.id != besides.id):
                active = other.id
        if besides is not None:
            holds[1] -= besides.amount if besides.status in {Status.APPROVED, Status.HELD} else 0
            swept -= besides.amount if now is not None else 0
        processing = await self._promised(conn) if symbol == MUSD else 0
        return Snapshot(asset, on_chain, holds, processing, swept, active, first)

    async def _paid(self, conn: AsyncConnection, besides: Sequence[Payout], since: datetime) -> int:
        """Base units of other payouts that were given a nonce since, and are not known to have failed."""
        if not besides:
            return 0
        one, ids = besides[0], [payout.id for payout in besides]
        return await aggregates.total(conn, _PAID, wallet=one.wallet, asset=one.asset, since=since, besides=ids)

    async def _active(self, conn: AsyncConnection) -> Version:
        return await policy_service.require_active(conn, self._scope)

    def _require_pinned(self, active: Version) -> None:
        if active.terms.cold is None or active.terms.cold != self._cold:
            text = "COLD_SAFE: the environment and the active policy do not name the same cold wallet."
            raise Problem(409, "policy_refused", text)

    @staticmethod
    def _plan(active: Version, asset: AssetPolicy, movement: Movement) -> Plan:
        return Plan(
            asset=asset.symbol,
            token=asset.token,
            amount=movement.amount,
            purpose=movement.purpose,
            approval_needed=movement.approval_needed,
            policy_version=str(active.version),
            expires_after=timedelta(hours=active.terms.policy.approval_expires_hours),
            decimals=asset.decimals,
        )
