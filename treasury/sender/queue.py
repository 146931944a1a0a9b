"""Whose turn it is: everything that can say no says it before a nonce exists."""

from collections.abc import Sequence

from chain.errors import ChainError
from treasury.core.leader import LeadershipLost
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.payouts import queue as payout_queue
from treasury.ports import WalletView
from treasury.sender.adoption import next_nonce
from treasury.sender.context import SenderContext, log
from treasury.sender.holds import Ready, release_payouts, stop_payouts
from treasury.sender.payout_checks import Choice, Paying
from treasury.sender.pipeline import Pipeline
from treasury.sender.signing import Signing
from treasury.sender.stripe_checks import Proving
from treasury.sender.sweep_checks import Sweeping
from treasury.sender.wait_reasons import Waiting
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import Kind
from treasury.transactions import queries
from treasury.transactions.model import Transaction


class Payment:
    """One queue for each wallet: a panic before all, then payouts, then sweeps."""

    def __init__(self, desk: SenderContext, signing: Signing, waiting: Waiting) -> None:
        """`waiting` is told in each step why the queue waits."""
        self._desk = desk
        self._pipeline = Pipeline(desk, signing)
        self._proving = Proving(desk)
        self._paying = Paying(desk, self._proving)
        self._sweeping = Sweeping(desk)
        self._waiting = waiting
        self.more = False
        """Whether the last step left payouts that were not looked at: another may follow at once."""

    async def next(self, view: WalletView, *, stopped: bool = False, stall: str | None = None) -> list[Transaction]:
        """Sign for the operations whose turn it is, as many as the pipeline has room for; lowest nonce first.

        Empty where there is none, or something spoke against it. `stopped`: coins are gone, or spent by another hand; only
        a panic is signed, as that is what it is for. `stall`: why what is signed already does not get on.
        """
        self.more = False
        signed, why = await self._next(view, stopped=stopped, stall=stall)
        await self._waiting.tell(why, self._paying.passed)
        return signed

    async def _next(
        self, view: WalletView, *, stopped: bool, stall: str | None
    ) -> tuple[list[Transaction], Reason | None]:
        """What was signed, and why the rest of the queue waits; None where it waits for nothing but its turn."""
        desk, config = self._desk, self._desk.config
        async with desk.database.read() as conn:
            nonce = await next_nonce(desk, conn)
            panics = await sweeps_service.active(conn, config.wallet, Kind.PANIC)
            allowed = await desk.gate.payouts_allowed(conn)
            stopped_ones = await payout_queue.stopped(conn, config.wallet)
        armed = any(sweep.approval is not None for sweep in panics)
        if stopped and not armed:
            return [], Reason.SIGNING_STOPPED
        if armed:
            await stop_payouts(desk, Reason.PANIC, "the hot wallet is being emptied to the cold wallet")
        elif not allowed:
            await stop_payouts(desk, Reason.PAYOUTS_PAUSED, "payouts are paused")
        else:
            await release_payouts(desk, stopped_ones)
        if not armed:
            await self._proving.look_aside(view)
        depth = 1 if armed else config.max_in_flight
        if desk.pace.waits("signer"):
            return [], Reason.SIGNER_UNAVAILABLE
        if not 0 <= nonce - view.nonce < depth:
            if nonce < view.nonce:
                log.warning("treasury.nonce_behind", chain=view.nonce, ours=nonce)
                return [], Reason.SIGNING_STOPPED
            return [], _shown(stall)
        if nonce > view.nonce and await self._stuck(view):
            return [], _shown(stall) or Reason.WAITING_FOR_SECOND_NODE
        room = depth - (nonce - view.nonce)
        choice = await (self._panic(view) if armed else self._choose(view, nonce, room, allowed=allowed))
        self.more = choice.more
        if not choice.ready:
            return [], choice.why
        for _ in choice.ready:
            desk.checkpoint("checked")
        signed = await self._pipeline.carry_out(choice.ready, nonce)
        return signed, Reason.SIGNER_UNAVAILABLE if desk.pace.waits("signer") else choice.why

    async def _stuck(self, view: WalletView) -> bool:
        """Whether a transaction below the next nonce has not reached any node: what is signed behind it would wait, too."""
        async with self._desk.database.read() as conn:
            unsent = await queries.in_status(conn, self._desk.hot_wallet, [Status.SIGNED])
        return any(one.nonce is not None and one.nonce >= view.nonce for one in unsent)

    async def _choose(self, view: WalletView, nonce: int, room: int, *, allowed: bool) -> Choice:
        """Payouts rank before sweeps, which may go where no payout can be paid now."""
        desk, config, ahead = self._desk, self._desk.config, nonce - view.nonce
        choice = await self._paying.choose(view, room, ahead) if allowed else Choice()
        if not choice.leaves_way:
            return choice
        async with desk.database.read() as conn:
            sweeping = await sweeps_service.queue(conn, config.wallet, Kind.SWEEP)
        return Choice(await self._first(sweeping, view, ahead), why=choice.why)

    async def _first(self, queue: Sequence[Sweep], view: WalletView, ahead: int = 0) -> list[Ready]:
        """The first that nothing speaks against: an asset that cannot move now keeps no other."""
        for sweep in queue:
            self._desk.checkpoint("claimed")
            try:
                ready = await self._sweeping.ready(sweep, view, ahead)
            except LeadershipLost:
                raise
            except ChainError as error:
                log.warning("treasury.sweep_not_checked", sweep=sweep.id, reason=str(error))
                continue
            except Exception:  # noqa: BLE001 - one sweep must not stop the others, nor the payouts of the next step
                log.exception("treasury.sweep_failed", sweep=sweep.id)
                continue
            if ready:
                return ready
        return []

    async def _panic(self, view: WalletView) -> Choice:
        """Whatever is signed already ends first; sweeps that are not are over."""
        desk, config = self._desk, self._desk.config
        async with desk.database.read() as conn:
            flying = await queries.any_in_flight(conn, desk.hot_wallet)
            others = [
                one
                for one in await sweeps_service.active(conn, config.wallet, Kind.SWEEP)
                if one.transaction_id is None
            ]
            queue = await sweeps_service.queue(conn, config.wallet, Kind.PANIC)
        for other in others:
            async with desk.leader.write() as conn:
                await sweeps_service.cancel(
                    conn, other.id, now=desk.clock.now(), note="the hot wallet is being emptied"
                )
        return Choice([] if flying else await self._first(queue, view))


def _shown(stall: str | None) -> Reason | None:
    """Why those behind a transaction wait that does not get on."""
    return None if stall is None else Reason(stall)
