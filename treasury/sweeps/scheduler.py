"""The leader's regular work on sweeps: verify the cold wallet, cancel lapsed sweeps, propose sweeps of assets above their ceiling."""

from kit.clock import Clock
from kit.http.problems import Problem
from kit.logs import get_logger
from treasury.alarms import Alarms
from treasury.cold.identity import Unverified, Verified
from treasury.cold.service import ColdWallet
from treasury.core.leader import Leader
from treasury.metrics import TreasuryMetrics
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.proposals import SweepProposals

log = get_logger(__name__)

VERIFY_SECONDS = 60.0
"""Seconds between two scheduled verifications of the cold wallet. Each sweep verifies it again in any case."""
_PROPOSE_SECONDS = 15.0


class SweepScheduler:
    """Verifies the cold wallet, cancels lapsed sweeps and proposes new ones. The leader calls it once a cycle; it decides itself what is due."""

    def __init__(
        self,
        clock: Clock,
        metrics: TreasuryMetrics,
        cold: ColdWallet | None,
        proposals: SweepProposals | None,
        alarms: Alarms,
    ) -> None:
        """Store the parts. Without `proposals` nothing is proposed on schedule; without `cold` there is no cold wallet to verify."""
        self._clock = clock
        self._metrics = metrics
        self._cold = cold
        self._proposals = proposals
        self._verify_at = self._propose_at = float("-inf")
        self._alarms = alarms

    async def step(self, leader: Leader, *, stopped: bool = False) -> None:
        """Do the work that is due now; every write is the leader's. While signing is `stopped` nothing is proposed, and the rest goes on."""
        now = self._clock.monotonic()
        if self._cold is not None and now >= self._verify_at:
            self._verify_at = now + VERIFY_SECONDS
            self._report(await self._cold.verify())
        if now < self._propose_at:
            return
        self._propose_at = now + _PROPOSE_SECONDS
        async with leader.write() as conn:
            for sweep_id in await sweeps_service.cancel_lapsed(conn, now=self._clock.now()):
                log.warning("treasury.sweep_lapsed", sweep=sweep_id)
        if self._proposals is not None and not stopped:
            await self._propose(self._proposals, leader)

    async def _propose(self, proposals: SweepProposals, leader: Leader) -> None:
        async with leader.write() as conn:
            every = await proposals.planner.every(conn)
            assets = [] if every is None else await proposals.planner.due(conn)
        if every is None or not assets:
            return
        verdict = await proposals.cold.verify()
        self._report(verdict)
        now = self._clock.now()
        window = str(int(now.timestamp() // every.total_seconds()))
        for asset in assets:
            try:
                async with leader.write() as conn:
                    sweep = await proposals.sweep(
                        conn,
                        asset,
                        None,
                        verdict,
                        sweeps_service.SCHEDULER,
                        now=now,
                        window=window,
                    )
            except Problem as problem:
                log.info("treasury.no_sweep", asset=asset, code=problem.code, detail=str(problem))
            else:
                log.info("treasury.sweep_proposed", sweep=sweep.id, asset=asset, status=sweep.status)

    def _report(self, verdict: Verified | Unverified) -> None:
        has_drifted = isinstance(verdict, Unverified)
        self._metrics.cold_wallet(not has_drifted)
        subject = "" if self._cold is None else self._cold.pin.address
        if isinstance(verdict, Unverified):
            self._alarms.raise_alarm("cold_wallet_unverified", subject, detail=verdict.detail)
        else:
            self._alarms.clear("cold_wallet_unverified", subject)
