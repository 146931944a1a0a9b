"""Decide about paid sessions that an earlier hot wallet may have paid: adopt its payment, owe it, or leave it to an operator."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.errors import ChainError
from kit.alarms import service as alarms_service
from kit.clock import Clock
from kit.db.database import Database
from kit.ids import Ids
from kit.logs import bound, get_logger
from onramp.sessions import payment_searches
from onramp.sessions import service as sessions_service
from onramp.sessions.config import SessionConfig
from onramp.sessions.model import Session
from onramp.sessions.payment_searches import Search, SearchState
from treasury import earlier_adoption
from treasury.core import hot_wallets
from treasury.earlier_payments import EarlierWalletReader, Payment
from treasury.payouts import service as payouts_service

log = get_logger(__name__)
BATCH: Final = 10
GRACE: Final = timedelta(seconds=90)
"""How long to wait before the current wallet pays what an earlier one did not: a process still running with that wallet would have paid by then."""
NOT_FOUND: Final = (
    "Paid at Stripe while {wallet} was the hot wallet. The nodes show no payment by it, but this database does not know everything that it"
    " paid or, after a restore, may still pay: nothing is paid automatically."
)
UNKNOWN: Final = (
    "Paid at Stripe while {wallet} was the hot wallet. The nodes do not return enough of its payments to tell whether the buyer was paid;"
    " they are asked again. Nothing is paid automatically."
)
DIFFERENT: Final = (
    "Paid at Stripe while {wallet} was the hot wallet, which made a payment with this purchase's reference, of another amount or to"
    " another wallet: {tx_hash}. Nothing is paid automatically."
)


class _ConflictError(Exception):
    """Another process changed the session or took the search; it is searched again."""


class _NonceTakenError(Exception):
    """Another row holds the payment's nonce: the adoption must be rolled back."""


class PaymentFinder:
    """Searches for payments that an earlier hot wallet may have made, and decides about each session by the result."""

    def __init__(
        self,
        database: Database,
        wallets: EarlierWalletReader,
        config: SessionConfig,
        clock: Clock,
        ids: Ids,
        owner: str,
    ) -> None:
        """Store the parts; `owner` is unique among all processes that share the database."""
        self._database = database
        self._wallets = wallets
        self._config = config
        self._clock = clock
        self._ids = ids
        self._owner = owner

    async def step(self) -> bool:
        """Search for the payments that are due; return whether a session changed."""
        async with self._database.write() as conn:
            due = await payment_searches.claim_due(conn, self._owner, self._clock.now(), BATCH)
        changed = False
        for search in due:
            with bound(session=search.session_id):
                try:
                    changed |= await self._decide(search)
                except _ConflictError:
                    log.info("session.search_lost")
        return changed

    async def _decide(self, search: Search) -> bool:
        current = self._config.hot_wallet
        async with self._database.read() as conn:
            session = await sessions_service.get(conn, search.session_id)
            others = await hot_wallets.others(conn, self._config.chain_id, current)
        if session is None:
            raise _ConflictError
        candidates = _candidates(search.wallet, others, current)
        wallet_text = ", ".join(candidates)
        try:
            payment, is_history_known = await self._find_payment(session, candidates)
            is_current_known = payment is not None or current is None or await self._wallets.is_known(current)
        except ChainError as error:
            log.warning("session.search_unavailable", session=session.id, reason=str(error))
            attention = UNKNOWN.format(wallet=wallet_text) if search.rebuilt or session.attention else None
            return await self._postpone(session, search, SearchState.LOOKING, attention)
        if payment is not None:
            if (payment.to, payment.amount) != (session.wallet_address, search.expected_units):
                attention = DIFFERENT.format(wallet=payment.wallet, tx_hash=payment.tx_hash)
                return await self._postpone(session, search, SearchState.UNPAID, attention)
            return await self._adopt(session, search, payment)
        if current is not None and not is_current_known:
            # The payment may be among the current wallet's transactions that are not read yet, as after a restore.
            return await self._postpone(
                session, search, SearchState.LOOKING, None, seconds=payment_searches.SOON_SECONDS
            )
        reference = payouts_service.reference_text(session.id)
        if current is not None and await self._wallets.is_paid_by(
            current, session.wallet_address, search.expected_units, reference
        ):
            # Sold for an earlier wallet, paid by the current one, and then lost: the treasury adopts the payment and signs nothing.
            return await self._owe(session, search, current)
        if search.rebuilt or not is_history_known or current is None:
            return await self._postpone(session, search, SearchState.UNPAID, NOT_FOUND.format(wallet=wallet_text))
        if self._clock.now() - search.created_at < GRACE:
            return await self._postpone(
                session, search, SearchState.LOOKING, None, seconds=payment_searches.SOON_SECONDS
            )
        return await self._owe(session, search, current)

    async def _find_payment(self, session: Session, candidates: Sequence[str]) -> tuple[Payment | None, bool]:
        """Return the payment (None if none is found), and whether our rows explain every transaction of these wallets."""
        reference = payouts_service.reference_text(session.id)
        is_carried, is_history_known = await self._wallets.is_carried(reference), True
        for wallet in candidates:
            is_known = await self._wallets.is_known(wallet) and not is_carried
            is_history_known = is_history_known and is_known
            if is_known:
                continue
            payment = await self._wallets.find(wallet, reference, session.created_at)
            if payment is not None:
                return payment, is_history_known
        return None, is_history_known

    async def _adopt(self, session: Session, search: Search, payment: Payment) -> bool:
        now = self._clock.now()
        try:
            async with self._database.write() as conn:
                payout = await self._create_payout(conn, session, search, payment.wallet, SearchState.PAID, now)
                if not await earlier_adoption.adopt(
                    conn, payout, payment, chain_id=self._config.chain_id, now=now, ids=self._ids
                ):
                    raise _NonceTakenError
        except _NonceTakenError:
            attention = DIFFERENT.format(wallet=payment.wallet, tx_hash=payment.tx_hash)
            return await self._postpone(session, search, SearchState.UNPAID, attention)
        log.warning(
            "session.paid_by_earlier_wallet", session=session.id, wallet=payment.wallet, tx_hash=payment.tx_hash
        )
        return True

    async def _owe(self, session: Session, search: Search, wallet: str) -> bool:
        async with self._database.write() as conn:
            await self._create_payout(conn, session, search, wallet, SearchState.OWED, self._clock.now())
        log.warning("session.owed_by_current_wallet", session=session.id, wallet=wallet, before=search.wallet)
        return True

    async def _create_payout(
        self,
        conn: AsyncConnection,
        session: Session,
        search: Search,
        wallet: str,
        state: SearchState,
        now: datetime,
    ) -> str:
        """End the search in `state` and create the session's payout, owed by `wallet`, in the caller's transaction; return its id."""
        if session.stripe_session_id is None:
            raise _ConflictError
        if not await payment_searches.finish(conn, search.session_id, self._owner, state):
            raise _ConflictError
        values: dict[str, Any] = {"expected_units": search.expected_units, "attention": None}
        if not await sessions_service.change(conn, session, now=now, **values):
            raise _ConflictError
        return await payouts_service.create_payout(
            conn,
            session_id=session.id,
            stripe_session_id=session.stripe_session_id,
            to=session.wallet_address,
            amount=search.expected_units,
            token=self._config.token,
            wallet=wallet,
            now=now,
            ids=self._ids,
            usdc=session.delivered_units,
        )

    async def _postpone(
        self,
        session: Session,
        search: Search,
        state: SearchState,
        attention: str | None,
        *,
        seconds: float | None = None,
    ) -> bool:
        """Postpone the search, and store `attention` on the session unless it is None. Return whether the session changed."""
        now = self._clock.now()
        is_new = attention is not None and attention != session.attention
        async with self._database.write() as conn:
            if not await payment_searches.postpone(conn, search.session_id, self._owner, state, now, seconds):
                raise _ConflictError
            if is_new and not await sessions_service.change(conn, session, now=now, attention=attention):
                raise _ConflictError
            if is_new:
                facts = {"session": session.id, "reason": attention}
                await alarms_service.raise_in(conn, "session.earlier_wallet_named", session.id, now, **facts)
        return is_new


def _candidates(sold_for: str | None, others: Sequence[str], current: str | None) -> list[str]:
    """Return the wallets that may have paid: the one that the session names, then every other of this deployment.

    The current wallet is left out: before it signs, each of its own transactions is explained.
    """
    first = [] if sold_for is None or sold_for == current else [sold_for]
    return [*first, *(wallet for wallet in others if wallet != sold_for)]
