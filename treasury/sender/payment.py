"""Whose turn it is: everything that can say no says it before a nonce exists."""

from collections.abc import Sequence

from treasury.payouts import service as payouts
from treasury.payouts.machine import Reason
from treasury.payouts.table import Payout
from treasury.ports import WalletView
from treasury.sender.adoption import next_nonce
from treasury.sender.desk import Desk, log
from treasury.sender.holding import Ready, release_payouts, stop_payouts
from treasury.sender.paying import Paying, is_contradicted
from treasury.sender.pipeline import Pipeline
from treasury.sender.signing import Signing
from treasury.sender.sweeping import Sweeping
from treasury.status import Status
from treasury.sweeps import service as sweeps
from treasury.sweeps.machine import Kind
from treasury.sweeps.table import Sweep
from treasury.transactions import queries
from treasury.transactions.table import Transaction


class Payment:
    """One queue for each wallet: a panic before all, then payouts, then sweeps."""

    def __init__(self, desk: Desk, signing: Signing) -> None:
        """Nothing is remembered here."""
        self._desk = desk
        self._pipeline = Pipeline(desk, signing)
        self._paying = Paying(desk)
        self._sweeping = Sweeping(desk)

    async def next(self, view: WalletView, *, stopped: bool = False) -> list[Transaction]:
        """Sign for the operations whose turn it is, as many as the pipeline has room for; lowest nonce first.

        Empty where there is none, or something spoke against it. `stopped`: coins are gone, or spent by another hand; only
        a panic is signed, as that is what it is for.
        """
        desk, config = self._desk, self._desk.config
        async with desk.database.read() as conn:
            nonce = await next_nonce(desk, conn)
            panics = await sweeps.active(conn, config.wallet, Kind.PANIC)
            allowed = await desk.gate.payouts_allowed(conn)
            stopped_ones = await payouts.stopped(conn, config.wallet)
        armed = any(sweep.approval is not None for sweep in panics)
        if stopped and not armed:
            return []
        if armed:
            await stop_payouts(desk, Reason.PANIC, "the hot wallet is being emptied to the cold wallet")
        elif not allowed:
            await stop_payouts(desk, Reason.PAYOUTS_PAUSED, "payouts are paused")
        else:
            await release_payouts(desk, stopped_ones)
        depth = 1 if armed else config.max_in_flight
        if desk.pace.waits("signer"):
            return []
        if not 0 <= nonce - view.nonce < depth:
            if nonce < view.nonce:
                log.warning("treasury.nonce_behind", chain=view.nonce, ours=nonce)
            return []
        if nonce > view.nonce and await self._stuck(view):
            return []
        room = depth - (nonce - view.nonce)
        ready = await self._panic(view) if armed else await self._choose(view, nonce, room, allowed=allowed)
        if not ready:
            return []
        for _ in ready:
            desk.checkpoint("checked")
        return await self._pipeline.carry_out(ready, nonce)

    async def _stuck(self, view: WalletView) -> bool:
        """Whether a transaction below the next nonce has not reached any node: what is signed behind it would wait, too."""
        async with self._desk.database.read() as conn:
            unsent = await queries.in_status(conn, *self._desk.key, [Status.SIGNED])
        return any(one.nonce is not None and one.nonce >= view.nonce for one in unsent)

    async def _choose(self, view: WalletView, nonce: int, room: int, *, allowed: bool) -> list[Ready]:
        """Payouts rank before sweeps; one that Stripe contradicts stops both."""
        desk, config = self._desk, self._desk.config
        async with desk.database.read() as conn:
            queue = await payouts.heads(conn, config.wallet, config.token, room)
        payout = queue[0] if queue else None
        contradicted = is_contradicted(payout)
        desk.metrics.stopped(contradicted)
        if payout is not None and (allowed or contradicted):
            desk.checkpoint("claimed")
            ready = await self._paying.ready(queue, view, ahead=nonce - view.nonce)
            if ready:
                return ready
            async with desk.database.read() as conn:
                again = await payouts.head(conn, config.wallet, config.token)
            if contradicted or is_contradicted(again) or desk.pace.waits("signer") or not _held(again, payout.id):
                return []
        async with desk.database.read() as conn:
            sweeping = await sweeps.queue(conn, config.wallet, Kind.SWEEP)
        return await self._first(sweeping, view, ahead=nonce - view.nonce)

    async def _first(self, queue: Sequence[Sweep], view: WalletView, ahead: int = 0) -> list[Ready]:
        """The first that nothing speaks against: an asset that cannot move now keeps no other."""
        for sweep in queue:
            self._desk.checkpoint("claimed")
            if ready := await self._sweeping.ready(sweep, view, ahead):
                return ready
        return []

    async def _panic(self, view: WalletView) -> list[Ready]:
        """Whatever is signed already ends first; sweeps that are not are over."""
        desk, config = self._desk, self._desk.config
        async with desk.database.read() as conn:
            flying = await queries.any_in_flight(conn, *desk.key)
            others = [one for one in await sweeps.active(conn, config.wallet, Kind.SWEEP) if one.transaction_id is None]
            queue = await sweeps.queue(conn, config.wallet, Kind.PANIC)
        for other in others:
            async with desk.leader.write() as conn:
                await sweeps.cancel(conn, other.id, now=desk.clock.now(), note="the hot wallet is being emptied")
        return [] if flying else await self._first(queue, view)


def _held(head: Payout | None, payout_id: str) -> bool:
    """Whether the payout just looked at left the way to sweeps: it is held for lack of something, or waits for a person."""
    return head is None or (head.id == payout_id and head.status is Status.HELD)
