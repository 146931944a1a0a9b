"""Propose sweeps: the policy's plan, the cold wallet's proof, then the row. A dry run stops before the row."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.actor import Actor
from kit.http.problems import Problem
from kit.ids import Ids
from treasury.cold.identity import Unverified, Verified
from treasury.cold.service import ColdWallet
from treasury.core.hot_wallets import HotWallet
from treasury.sweeps import approvals
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import SweepKind


@dataclass(frozen=True, slots=True)
class Plan:
    """The sweep that the policy would make; `amount` in base units of `token`, which is the zero address for the gas token."""

    asset: str
    token: str
    amount: int
    purpose: str
    approval_needed: bool
    policy_version: str
    expires_after: timedelta
    decimals: int = 18


class Planner(Protocol):
    """Plans sweeps by the policy, which it reads in the caller's transaction."""

    async def plan(self, conn: AsyncConnection, asset: str, amount: int | None, *, first: bool, now: datetime) -> Plan:
        """Return the plan for a sweep of `amount` base units, or of the excess if None. `first`: nothing arrived in this Safe before.

        Raises Problem `policy_refused`, `insufficient_available` or `already_active` if no such sweep may be made.
        """

    async def panic(self, conn: AsyncConnection) -> list[Plan]:
        """Return a plan for the whole balance of each asset that has one, tokens before the gas token."""

    async def due(self, conn: AsyncConnection) -> list[str]:
        """Return the symbols of the assets whose available balance is above their ceiling."""

    async def every(self, conn: AsyncConnection) -> timedelta | None:
        """Return how often the scheduler proposes sweeps; None: operators alone propose them."""


def proven(verdict: Verified | Unverified) -> Verified:
    """Return the cold wallet's proof. Raises Problem `cold_wallet_unverified` if there is none."""
    if isinstance(verdict, Unverified):
        raise Problem(409, "cold_wallet_unverified", f"The cold wallet could not be verified: {verdict.detail}")
    return verdict


@dataclass(frozen=True, slots=True)
class SweepProposals:
    """Proposes sweeps for an operator, for the schedule, and for a panic."""

    planner: Planner
    cold: ColdWallet
    wallet: str
    ids: Ids

    async def plan(self, conn: AsyncConnection, asset: str, amount: int | None, *, now: datetime) -> Plan:
        """Return the sweep that would be proposed. Raises Problem if the policy refuses it, or there is nothing to sweep."""
        pin = self.cold.pin
        first = not await sweeps_service.any_arrived(conn, pin.chain_id, pin.address)
        return await self.planner.plan(conn, asset, amount, first=first, now=now)

    async def sweep(
        self,
        conn: AsyncConnection,
        asset: str,
        amount: int | None,
        verdict: Verified | Unverified,
        actor: Actor,
        *,
        now: datetime,
        window: str | None = None,
    ) -> Sweep:
        """Propose a sweep. `verdict` is the result of verifying the cold wallet before this transaction was opened. Raises Problem."""
        identity = proven(verdict).identity
        plan = await self.plan(conn, asset, amount, now=now)
        return await self._propose(conn, plan, SweepKind.SWEEP, identity, actor, now=now, window=window)

    async def panic(
        self, conn: AsyncConnection, verdict: Verified | Unverified, actor: Actor, *, now: datetime
    ) -> list[Sweep]:
        """Propose to empty the wallet: one sweep for each asset, which another person approves. Raises Problem."""
        identity = proven(verdict).identity
        return [
            await self._propose(conn, plan, SweepKind.PANIC, identity, actor, now=now)
            for plan in await self.planner.panic(conn)
        ]

    async def approve(
        self,
        conn: AsyncConnection,
        sweep_id: str,
        verdict: Verified | Unverified,
        policy_version: str,
        actor: Actor,
        *,
        now: datetime,
        note: str = "",
    ) -> Sweep:
        """Approve a sweep under the current policy and Safe, as another person than the proposer. Raises Problem."""
        identity = proven(verdict).identity
        return await approvals.approve(
            conn,
            sweep_id,
            actor,
            policy_version=policy_version,
            safe_identity=identity,
            now=now,
            note=note,
        )

    async def _propose(
        self,
        conn: AsyncConnection,
        plan: Plan,
        kind: SweepKind,
        identity: str,
        actor: Actor,
        *,
        now: datetime,
        window: str | None = None,
    ) -> Sweep:
        pin = self.cold.pin
        return await sweeps_service.propose(
            conn,
            sweeps_service.Proposal(
                plan.asset, plan.token, plan.amount, pin.address, plan.policy_version, identity, kind, plan.decimals
            ),
            HotWallet(pin.chain_id, self.wallet),
            actor,
            purpose=plan.purpose,
            approval_needed=plan.approval_needed,
            expires_after=plan.expires_after,
            now=now,
            ids=self.ids,
            window=window,
        )
