"""From the head of the queue to stored bytes: everything that can say no says it before a nonce exists."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.foreign import service as foreign
from treasury.payouts import service as payouts
from treasury.payouts.machine import Fact, Reason
from treasury.payouts.table import Payout
from treasury.ports import WalletView
from treasury.sender import operations
from treasury.sender.adoption import next_nonce
from treasury.sender.desk import Desk, log
from treasury.sender.holding import Ready, release_payouts, stop_payouts
from treasury.sender.intents import movement
from treasury.sender.paying import Paying, is_contradicted
from treasury.sender.signing import Signing
from treasury.sender.sweeping import Sweeping
from treasury.signers.intent import Intent
from treasury.signers.protocol import Signed
from treasury.status import Status
from treasury.sweeps import service as sweeps
from treasury.sweeps.machine import Kind
from treasury.transactions import service as transactions
from treasury.transactions.machine import Fact as TransactionFact
from treasury.transactions.table import Transaction


class Payment:
    """One queue for each wallet: a panic before all, then payouts, then sweeps."""

    def __init__(self, desk: Desk, signing: Signing) -> None:
        """Nothing is remembered here."""
        self._desk = desk
        self._signing = signing
        self._paying = Paying(desk)
        self._sweeping = Sweeping(desk)

    async def next(self, view: WalletView, *, stopped: bool = False) -> Transaction | None:
        """Sign for the operation whose turn it is; None where there is none, or something spoke against it.

        `stopped`: coins are gone, or spent by another hand; only a panic is signed, as that is what it is for.
        """
        desk, config = self._desk, self._desk.config
        async with desk.database.read() as conn:
            nonce = await next_nonce(desk, conn)
            panics = await sweeps.active(conn, config.wallet, Kind.PANIC)
            allowed = await desk.gate.payouts_allowed(conn)
        armed = any(sweep.approval is not None for sweep in panics)
        if stopped and not armed:
            return None
        if armed:
            await stop_payouts(desk, Reason.PANIC, "the hot wallet is being emptied to the cold wallet")
        elif not allowed:
            await stop_payouts(desk, Reason.PAYOUTS_PAUSED, "payouts are paused")
        else:
            await release_payouts(desk)
        depth = 1 if armed else config.max_in_flight
        if desk.pace.waits("signer"):
            return None
        if not 0 <= nonce - view.nonce < depth:
            if nonce < view.nonce:
                log.warning("treasury.nonce_behind", chain=view.nonce, ours=nonce)
            return None
        ready = await self._panic(view) if armed else await self._choose(view, allowed=allowed)
        if ready is None:
            return None
        desk.checkpoint("checked")
        return await self._carry_out(ready, nonce)

    async def _choose(self, view: WalletView, *, allowed: bool) -> Ready | None:
        """Payouts rank before sweeps; one that Stripe contradicts stops both."""
        desk, config = self._desk, self._desk.config
        async with desk.database.read() as conn:
            payout = await payouts.head(conn, config.wallet, config.token)
        contradicted = is_contradicted(payout)
        desk.metrics.stopped(contradicted)
        if payout is not None and (allowed or contradicted):
            desk.checkpoint("claimed")
            ready = await self._paying.ready(payout, view)
            if ready is not None:
                return ready
            async with desk.database.read() as conn:
                again = await payouts.head(conn, config.wallet, config.token)
            if contradicted or is_contradicted(again) or desk.pace.waits("signer") or not _held(again, payout.id):
                return None
        async with desk.database.read() as conn:
            sweep = await sweeps.head(conn, config.wallet, Kind.SWEEP)
        if sweep is None:
            return None
        desk.checkpoint("claimed")
        return await self._sweeping.ready(sweep, view)

    async def _panic(self, view: WalletView) -> Ready | None:
        """Whatever is signed already ends first; sweeps that are not are over."""
        desk, config = self._desk, self._desk.config
        async with desk.database.read() as conn:
            flying = await transactions.in_flight(conn, *desk.key)
            others = [one for one in await sweeps.active(conn, config.wallet, Kind.SWEEP) if one.transaction_id is None]
            sweep = await sweeps.head(conn, config.wallet, Kind.PANIC)
        for other in others:
            async with desk.leader.write() as conn:
                await sweeps.cancel(conn, other.id, now=desk.clock.now(), note="the hot wallet is being emptied")
        if flying or sweep is None:
            return None
        desk.checkpoint("claimed")
        return await self._sweeping.ready(sweep, view)

    async def _carry_out(self, ready: Ready, nonce: int) -> Transaction | None:
        """Nonce, signature, stored bytes; in this order, with nothing in between."""
        desk = self._desk
        intent = movement(desk.config, ready.operation, nonce, ready.amount, ready.gas_limit, ready.fees)
        transaction_id = await self._take(ready, intent)
        if transaction_id is None:
            return None
        desk.checkpoint("nonce_taken")
        async with desk.database.read() as conn:
            # A pause that came together with the nonce: nothing is signed, and the next cycle gives the nonce back.
            if not await self._allowed(conn, ready):
                return None
        signed = await self._signing.sign(intent)
        if signed is None:
            return None
        desk.checkpoint("signed")
        stored = await self._store(ready, transaction_id, intent, signed)
        desk.checkpoint("stored")
        return stored

    async def _take(self, ready: Ready, intent: Intent) -> str | None:
        """Nonce and intent in one transaction, unless the row or a pause changed since it was checked."""
        desk, now, operation = self._desk, self._desk.clock.now(), ready.operation
        async with desk.leader.write() as conn:
            if await operations.get(conn, operation.id) != operation or not await self._allowed(conn, ready):
                return None
            if await foreign.carries(conn, operation.reference) or await transactions.carries(
                conn, operation.reference
            ):
                return None
            if await next_nonce(desk, conn) != intent.nonce:
                return None
            row_id = await transactions.take_nonce(conn, intent, operation.id, now=now, ids=desk.ids)
            note = f"nonce {intent.nonce} taken"
            taken: dict[str, Any] = {"amount": ready.amount} if ready.panic else {}
            await operations.move(
                conn, operation.id, Fact.TAKEN, now=now, note=note, transaction_id=row_id, reason=None, **taken
            )
        if operation.reason is not None:
            desk.alarms.clear(f"{operations.kind_of(operation.id)}_{operation.reason}", operation.id)
        return row_id

    async def _allowed(self, conn: AsyncConnection, ready: Ready) -> bool:
        if ready.panic:
            return True
        gate = self._desk.gate
        payout = operations.kind_of(ready.operation.id) == "payout"
        return await gate.payouts_allowed(conn) if payout else await gate.sweeps_allowed(conn)

    async def _store(self, ready: Ready, transaction_id: str, intent: Intent, signed: Signed) -> Transaction | None:
        desk, now = self._desk, self._desk.clock.now()
        async with desk.leader.write() as conn:
            await transactions.add_attempt(conn, transaction_id, signed, intent=intent, now=now, ids=desk.ids)
            await transactions.move(conn, transaction_id, TransactionFact.STORED, now=now, note=signed.hash)
            operation_id = ready.operation.id
            await operations.move(conn, operation_id, Fact.SIGNED, now=now, note=signed.hash, tx_hash=signed.hash)
            return await transactions.get(conn, transaction_id)


def _held(head: Payout | None, payout_id: str) -> bool:
    """Whether the payout just looked at left the way to sweeps: it is held for lack of something, or waits for a person."""
    return head is None or (head.id == payout_id and head.status is Status.HELD)
