"""The pause switches and the treasury policy, set by the test. By default nothing is paused and nothing is above a limit."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.core.asset_policy import AssetPolicy
from treasury.payouts.model import Payout
from treasury.ports import WalletView
from treasury.sweeps.model import Sweep


class FakeGate:
    """Implements `treasury.ports.Gate`; `payouts` and `sweeps` are True while paused."""

    def __init__(self) -> None:
        self.payouts = self.sweeps = False

    async def payouts_allowed(self, conn: AsyncConnection) -> bool:
        return not self.payouts

    async def sweeps_allowed(self, conn: AsyncConnection) -> bool:
        return not self.sweeps


class NoLimits:
    """Implements `treasury.ports.PolicyPort` without any limit: only the sender's own checks remain."""

    async def exceeded_limits(
        self, conn: AsyncConnection, payouts: Sequence[Payout], now: datetime
    ) -> Sequence[str | None]:
        del conn, now
        return [None] * len(payouts)

    async def destination_objection(self, conn: AsyncConnection, sweep: Sweep) -> str | None:
        del conn, sweep
        return None

    async def sweep_objection(self, conn: AsyncConnection, sweep: Sweep, view: WalletView, now: datetime) -> str | None:
        del conn, sweep, view, now
        return None

    async def version(self, conn: AsyncConnection) -> str:
        del conn
        return "none"

    async def max_fee(self, conn: AsyncConnection) -> int | None:
        del conn
        return None

    async def max_batch(self, conn: AsyncConnection) -> int:
        del conn
        return 100

    async def assets(self, conn: AsyncConnection) -> Sequence[AssetPolicy]:
        del conn
        return ()

    def is_sanctioned(self, payout: Payout) -> bool:
        del payout
        return False

    async def unscreened(self, payouts: Sequence[Payout]) -> Collection[str]:
        del payouts
        return ()

    async def apply_due(self, conn: AsyncConnection, now: datetime) -> str | None:
        del conn, now
        return None


class FakePolicy(NoLimits):
    """Implements `treasury.ports.PolicyPort` with limits that the test sets."""

    def __init__(self) -> None:
        self.approval_above = 10**30
        self.objection: str | None = None
        self.active = "1"
        self.list: set[str] = set()
        self.listing: list[AssetPolicy] = []
        self.batch = 100

    async def max_batch(self, conn: AsyncConnection) -> int:
        return self.batch

    async def assets(self, conn: AsyncConnection) -> Sequence[AssetPolicy]:
        return self.listing

    async def exceeded_limits(
        self, conn: AsyncConnection, payouts: Sequence[Payout], now: datetime
    ) -> list[str | None]:
        return ["payouts.approval_above" if payout.amount > self.approval_above else None for payout in payouts]

    async def sweep_objection(self, conn: AsyncConnection, sweep: Sweep, view: WalletView, now: datetime) -> str | None:
        return self.objection

    async def version(self, conn: AsyncConnection) -> str:
        return self.active

    def is_sanctioned(self, payout: Payout) -> bool:
        return payout.to in self.list
