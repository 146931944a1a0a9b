"""A planner of sweeps with fixed limits."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.http.problems import Problem
from tests.support.hot_wallet import MUSD, TOKEN, WALLET
from treasury import balances
from treasury.core.assets import NATIVE
from treasury.sweeps.proposals import Plan


class ExcessPlanner:
    """Implements `sweeps.proposals.Planner`: from above 1000 MUSD down to 500; more than 400 takes a person's approval; 100 at first."""

    minutes: timedelta | None = timedelta(minutes=15)

    async def plan(self, conn: AsyncConnection, asset: str, amount: int | None, *, first: bool, now: datetime) -> Plan:
        have = (await balances.available(conn, WALLET, asset)).available
        wanted = have - 500 * MUSD if amount is None else amount
        if wanted > have - 200 * MUSD:
            raise Problem(409, "policy_refused", "assets.MUSD.floor: it would go below the floor")
        amount = min(wanted, 100 * MUSD) if first else wanted
        return Plan(asset, TOKEN, amount, "excess over ceiling", amount > 400 * MUSD, "1", timedelta(hours=24))

    async def panic(self, conn: AsyncConnection) -> list[Plan]:
        both = (("MUSD", TOKEN), ("BTC", NATIVE))
        return [Plan(asset, token, 1, "panic", True, "1", timedelta(hours=24)) for asset, token in both]

    async def due(self, conn: AsyncConnection) -> list[str]:
        return ["MUSD"] if (await balances.available(conn, WALLET, "MUSD")).available > 1000 * MUSD else []

    async def every(self, conn: AsyncConnection) -> timedelta | None:
        return self.minutes
