"""The head of the queue: everything that can say no says it before a nonce exists."""

from chain.types import ZERO_ADDRESS
from treasury.foreign import service as foreign
from treasury.payouts import service as payouts
from treasury.payouts.machine import Fact, Reason
from treasury.payouts.table import Payout
from treasury.ports import FeeQuote, Owed, ProofUnavailable, WalletView
from treasury.sender.adoption import next_nonce
from treasury.sender.desk import Desk, log
from treasury.signers.intent import TransferIntent
from treasury.signers.protocol import Signed, SignerError, SignerUnavailable
from treasury.status import Status
from treasury.transactions import service as transactions
from treasury.transactions.machine import Fact as TransactionFact
from treasury.transactions.table import Transaction

_MINUTE = 60.0


class Payment:
    """Takes the head of the queue through its checks to stored bytes."""

    def __init__(self, desk: Desk) -> None:
        """Nothing is remembered but failures of the signer, to slow down."""
        self._desk = desk
        self._failures = 0

    async def next(self, view: WalletView) -> Transaction | None:
        """Sign for the payout whose turn it is; None where there is none, or something spoke against it."""
        desk, config = self._desk, self._desk.config
        async with desk.database.read() as conn:
            payout = await payouts.head(conn, config.wallet, config.token)
            flying = len(await transactions.in_flight(conn, *desk.key))
            nonce = await next_nonce(desk, conn)
        contradicted = payout is not None and payout.reason == Reason.PAYMENT_MISMATCH
        desk.metrics.stopped(contradicted)
        if payout is None or flying >= config.max_in_flight or desk.pace.waits("signer"):
            return None
        if nonce != view.nonce + flying:
            log.warning("treasury.nonce_behind", chain=view.nonce, ours=nonce)
            return None
        desk.checkpoint("claimed")
        if contradicted and not desk.pace.due(f"proof:{payout.id}", config.proof_seconds):
            return None
        fees = await desk.chain.fees()
        if not contradicted and await self._hold_without_asking(payout, view, fees):
            return None
        owed = await self._owed(payout)
        if owed is None:
            return None
        desk.checkpoint("checked")
        intent = TransferIntent(
            chain_id=config.chain_id,
            wallet=config.wallet,
            nonce=nonce,
            token=config.token,
            to=owed.to,
            amount=owed.amount,
            reference=bytes.fromhex(payout.reference[2:]),
            gas_limit=config.gas_limit,
            max_fee=fees.max_fee,
            priority_fee=fees.priority_fee,
        )
        transaction_id = await self._take(payout, intent)
        if transaction_id is None:
            return None
        desk.checkpoint("nonce_taken")
        signed = await self._sign(intent)
        if signed is None:
            return None
        desk.checkpoint("signed")
        stored = await self._store(payout, transaction_id, intent, signed)
        desk.checkpoint("stored")
        return stored

    async def _hold_without_asking(self, payout: Payout, view: WalletView, fees: FeeQuote) -> bool:
        """The checks that need nobody's word but the chain's."""
        desk, config = self._desk, self._desk.config
        async with desk.database.read() as conn:
            spent = await foreign.carries(conn, payout.reference) or await transactions.carries(conn, payout.reference)
            leaving = await payouts.leaving(conn, config.wallet, config.asset, view.block_number)
        gas = config.gas_limit * fees.max_fee
        if spent:
            return await self._hold(payout, Reason.REFERENCE_SPENT, "a transfer with its reference exists already")
        if payout.to in {ZERO_ADDRESS, config.token, config.wallet}:
            return await self._hold(payout, Reason.RECIPIENT_REFUSED, f"{payout.to} cannot be paid")
        if fees.max_fee > config.max_fee:
            return await self._hold(
                payout, Reason.FEE_CEILING, f"the chain asks {fees.max_fee} wei, above {config.max_fee}"
            )
        if payout.amount > view.token - leaving:
            return await self._hold(payout, Reason.INSUFFICIENT, "the hot wallet holds too little")
        if gas > view.native:
            return await self._hold(payout, Reason.INSUFFICIENT, "the hot wallet holds too little for gas")
        return False

    async def _owed(self, payout: Payout) -> Owed | None:
        """Stripe's own word; None where there is none now, or where it contradicts the row."""
        desk = self._desk
        try:
            owed = await desk.proof.owed(payout.session_id, payout.stripe_session_id)
        except ProofUnavailable:
            log.warning("treasury.proof_unavailable", payout=payout.id)
            desk.pace.wait("signer", desk.config.scan_seconds)
            return None
        if owed is None or (owed.to, owed.amount) != (payout.to, payout.amount):
            note = "Stripe knows no such payment" if owed is None else "Stripe says another amount or wallet"
            await self._hold(payout, Reason.PAYMENT_MISMATCH, note)
            desk.pace.wait(f"proof:{payout.id}", desk.config.proof_seconds)
            desk.metrics.stopped(True)
            return None
        if payout.reason == Reason.PAYMENT_MISMATCH:
            # It agrees now; the other checks have not been made for it in this cycle, so it queues again.
            async with desk.leader.write() as conn:
                await payouts.move(conn, payout.id, Fact.TAKEN, now=desk.clock.now(), note="Stripe agrees", reason=None)
            desk.alarms.clear(f"payout_{Reason.PAYMENT_MISMATCH}", payout.id)
            return None
        return owed

    async def _hold(self, payout: Payout, reason: Reason, note: str) -> bool:
        self._desk.alarms.ring(f"payout_{reason}", payout.id, note=note)
        if payout.status is not Status.HELD or payout.reason != reason:
            async with self._desk.leader.write() as conn:
                await payouts.move(conn, payout.id, Fact.HELD, now=self._desk.clock.now(), note=note, reason=reason)
        return True

    async def _take(self, payout: Payout, intent: TransferIntent) -> str | None:
        """Nonce and intent in one transaction, unless the row changed since it was checked."""
        desk, now = self._desk, self._desk.clock.now()
        async with desk.leader.write() as conn:
            current = await payouts.get(conn, payout.id)
            if current != payout or await foreign.carries(conn, payout.reference):
                return None
            if await next_nonce(desk, conn) != intent.nonce or await transactions.carries(conn, payout.reference):
                return None
            row_id = await transactions.take_nonce(conn, intent, payout.id, now=now, ids=desk.ids)
            note = f"nonce {intent.nonce} taken"
            await payouts.move(conn, payout.id, Fact.TAKEN, now=now, note=note, transaction_id=row_id, reason=None)
        if payout.reason is not None:
            desk.alarms.clear(f"payout_{payout.reason}", payout.id)
        return row_id

    async def _sign(self, intent: TransferIntent) -> Signed | None:
        """Bytes, or None; then the next cycle gives the nonce back, as nothing can be on its way."""
        desk = self._desk
        started = desk.clock.monotonic()
        try:
            signed = await desk.signer.sign(intent)
        except SignerError as error:
            outcome = "unavailable" if isinstance(error, SignerUnavailable) else "refused"
            desk.metrics.signed(desk.clock.monotonic() - started, outcome)
            self._failures += 1
            desk.pace.wait("signer", min(_MINUTE, 2.0**self._failures))
            desk.alarms.ring(f"signer_{outcome}", intent.wallet, detail=str(error))
            return None
        self._failures = 0
        for outcome in ("unavailable", "refused"):
            desk.alarms.clear(f"signer_{outcome}", intent.wallet)
        desk.metrics.signed(desk.clock.monotonic() - started, "ok")
        return signed

    async def _store(
        self, payout: Payout, transaction_id: str, intent: TransferIntent, signed: Signed
    ) -> Transaction | None:
        desk, now = self._desk, self._desk.clock.now()
        async with desk.leader.write() as conn:
            await transactions.add_attempt(conn, transaction_id, signed, intent=intent, now=now, ids=desk.ids)
            await transactions.move(conn, transaction_id, TransactionFact.STORED, now=now, note=signed.hash)
            await payouts.move(conn, payout.id, Fact.SIGNED, now=now, note=signed.hash, tx_hash=signed.hash)
            return await transactions.get(conn, transaction_id)


async def give_back(desk: Desk) -> bool:
    """Nonces taken by a process that died before it stored bytes are freed, the newest alone can be."""
    async with desk.database.read() as conn:
        taken = await transactions.in_status(conn, *desk.key, [Status.APPROVED])
        newest = await next_nonce(desk, conn) - 1
    for transaction in reversed(taken):
        if transaction.nonce != newest:
            desk.alarms.ring("nonce_stranded", transaction.id, nonce=transaction.nonce)
            return False
        async with desk.leader.write() as conn:
            now = desk.clock.now()
            await transactions.give_back(conn, transaction, now=now)
            note = f"nonce {transaction.nonce} given back"
            operation = transaction.operation_id
            await payouts.move(conn, operation, Fact.TAKEN, now=now, note=note, transaction_id=None)
        newest -= 1
    return bool(taken)
