"""What the leader does beside sending: watch the cold wallet, let old approvals lapse, propose what is above a ceiling."""

from kit.clock import Clock
from kit.http.problems import Problem
from kit.logs import get_logger
from treasury.cold.identity import Unverified, Verified
from treasury.cold.service import ColdWallet
from treasury.core.leader import Leader
from treasury.metrics import TreasuryMetrics
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.proposals import SweepProposals

log = get_logger(__name__)

WATCH_SECONDS = 60.0
"""Between two proofs of the cold wallet on schedule; each sweep asks for its own besides."""
_LOOK_SECONDS = 15.0


class Sweeper:
    """Asked once a cycle by whoever leads the wallet; keeps its own pace."""

    def __init__(
        self, clock: Clock, metrics: TreasuryMetrics, cold: ColdWallet | None, orders: SweepProposals | None = None
    ) -> None:
        """Without `orders` nothing is proposed here; without `cold` there is nothing to watch."""
        self._clock = clock
        self._metrics = metrics
        self._cold = cold
        self._orders = orders
        self._watch_at = self._look_at = float("-inf")
        self._drifted = False

    async def step(self, leader: Leader, *, stopped: bool = False) -> None:
        """Whatever is due now; every write is the leader's. While signing is `stopped` nothing is proposed, and the rest goes on."""
        now = self._clock.monotonic()
        if self._cold is not None and now >= self._watch_at:
            self._watch_at = now + WATCH_SECONDS
            self._seen(await self._cold.verify())
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_SECONDS
        async with leader.write() as conn:
            for sweep_id in await sweeps_service.cancel_lapsed(conn, now=self._clock.now()):
                log.warning("treasury.sweep_lapsed", sweep=sweep_id)
        if self._orders is not None and not stopped:
            await self._propose(self._orders, leader)

    async def _propose(self, orders: SweepProposals, leader: Leader) -> None:
        async with leader.write() as conn:
            every = await orders.planner.every(conn)
            assets = [] if every is None else await orders.planner.due(conn)
        if every is None or not assets:
            return
        verdict = await orders.cold.verify()
        self._seen(verdict)
        now = self._clock.now()
        window = str(int(now.timestamp() // every.total_seconds()))
        for asset in assets:
            try:
                async with leader.write() as conn:
                    made = await orders.sweep(
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
                log.info("treasury.sweep_proposed", sweep=made.id, asset=asset, status=made.status)

    def _seen(self, verdict: Verified | Unverified) -> None:
        drifted = isinstance(verdict, Unverified)
        self._metrics.cold_wallet(not drifted)
        if isinstance(verdict, Unverified) and not self._drifted:
            self._metrics.alarm("cold_wallet_unverified")
            log.critical("treasury.cold_wallet_unverified", detail=verdict.detail)
        self._drifted = drifted
