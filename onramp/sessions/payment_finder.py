"""Decide about paid sessions that an earlier hot wallet may have paid: adopt its payment, owe it, or leave it to a person."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.errors import ChainError
from kit.clock import Clock
from kit.db.database import Database
from kit.ids import Ids
from kit.logs import bound, get_logger
from onramp.sessions import payment_searches
from onramp.sessions import service as sessions_service
from onramp.sessions.config import SessionConfig
from onramp.sessions.model import Session
from onramp.sessions.payment_searches import Search
from treasury import earlier_payments
from treasury.core import hot_wallets
from treasury.earlier_payments import EarlierWallets, Payment
from treasury.payouts import service as payouts_service

log = get_logger(__name__)
BATCH: Final = 10
WAIT: Final = timedelta(seconds=90)
"""Before another wallet pays what an earlier one did not: a process that still runs with that wallet would have paid by then."""
NOT_FOUND: Final = (
    "Paid at Stripe while {wallet} was the hot wallet. The nodes show no payment by it, and this database does not know all that it"
    " paid: nothing is paid automatically."
)
NOT_TOLD: Final = (
    "Paid at Stripe while {wallet} was the hot wallet. The nodes do not tell enough of its payments to say whether the buyer was paid;"
    " they are asked again. Nothing is paid automatically."
)
OTHERWISE: Final = (
    "Paid at Stripe while {wallet} was the hot wallet, which made a payment with this purchase's reference, of another amount or to"
    " another wallet: {tx_hash}. Nothing is paid automatically."
)


class _Lost(Exception):
    """Another process changed the session or took the search; it is looked at again."""


class _NonceTaken(Exception):
    """A row holds the payment's nonce for something else: nothing of the adoption may stand."""


class PaymentFinder:
    """Works through the searches that are due."""

    def __init__(
        self, database: Database, wallets: EarlierWallets, rules: SessionConfig, clock: Clock, ids: Ids, owner: str
    ) -> None:
        """`owner` is unique among all processes that share the database."""
        self._database = database
        self._wallets = wallets
        self._rules = rules
        self._clock = clock
        self._ids = ids
        self._owner = owner

    async def step(self) -> bool:
        """Look for the payments that are due; True where a session changed."""
        async with self._database.write() as conn:
            due = await payment_searches.claim_due(conn, self._owner, self._clock.now(), BATCH)
        changed = False
        for search in due:
            with bound(session=search.session_id):
                try:
                    changed |= await self._decide(search)
                except _Lost:
                    log.info("session.search_lost")
        return changed

    async def _decide(self, search: Search) -> bool:
        async with self._database.read() as conn:
            session = await sessions_service.get(conn, search.session_id)
            others = await hot_wallets.others(conn, self._rules.chain_id, self._rules.hot_wallet)
        if session is None:
            raise _Lost
        candidates = _candidates(search.wallet, others, self._rules.hot_wallet)
        named = ", ".join(candidates)
        try:
            payment, known = await self._look(session, candidates)
            current = self._rules.hot_wallet
            known_here = payment is not None or current is None or await self._wallets.is_known(current)
        except ChainError as error:
            log.warning("session.search_not_told", session=session.id, reason=str(error))
            text = NOT_TOLD.format(wallet=named) if search.rebuilt or session.attention else None
            return await self._later(session, search, "looking", text)
        if payment is not None:
            if (payment.to, payment.amount) != (session.wallet_address, search.amount):
                text = OTHERWISE.format(wallet=payment.wallet, tx_hash=payment.tx_hash)
                return await self._later(session, search, "unpaid", text)
            return await self._adopt(session, search, payment)
        wallet = self._rules.hot_wallet
        if wallet is not None and not known_here:
            # The payment may be among the transactions of the current wallet that are not read yet, as after a restore.
            return await self._later(session, search, "looking", None, seconds=payment_searches.SOON_SECONDS)
        if wallet is not None and await self._wallets.is_paid_by(
            wallet, session.wallet_address, search.amount, payouts_service.reference_text(session.id)
        ):
            # Sold for an earlier wallet, paid by this one, and then lost: the treasury adopts the payment, it signs nothing.
            return await self._owe(session, search, wallet)
        if search.rebuilt or not known or wallet is None:
            return await self._later(session, search, "unpaid", NOT_FOUND.format(wallet=named))
        if self._clock.now() - search.created_at < WAIT:
            return await self._later(session, search, "looking", None, seconds=payment_searches.SOON_SECONDS)
        return await self._owe(session, search, wallet)

    async def _look(self, session: Session, candidates: list[str]) -> tuple[Payment | None, bool]:
        """The payment, if one is found, and whether our rows explain all that these wallets did."""
        reference = payouts_service.reference_text(session.id)
        carried, all_known = await self._wallets.is_carried(reference), True
        for wallet in candidates:
            known = await self._wallets.is_known(wallet)
            all_known = all_known and known and not carried
            if known and not carried:
                continue
            payment = await self._wallets.find(wallet, reference, session.created_at)
            if payment is not None:
                return payment, all_known
        return None, all_known

    async def _adopt(self, session: Session, search: Search, payment: Payment) -> bool:
        now = self._clock.now()
        try:
            async with self._database.write() as conn:
                payout = await self._owed(conn, session, search, payment.wallet, "paid", now)
                if not await earlier_payments.adopt(
                    conn, payout, payment, chain_id=self._rules.chain_id, now=now, ids=self._ids
                ):
                    raise _NonceTaken
        except _NonceTaken:
            text = OTHERWISE.format(wallet=payment.wallet, tx_hash=payment.tx_hash)
            return await self._later(session, search, "unpaid", text)
        log.warning(
            "session.paid_by_earlier_wallet", session=session.id, wallet=payment.wallet, tx_hash=payment.tx_hash
        )
        return True

    async def _owe(self, session: Session, search: Search, wallet: str) -> bool:
        async with self._database.write() as conn:
            await self._owed(conn, session, search, wallet, "owed", self._clock.now())
        log.warning("session.owed_by_current_wallet", session=session.id, wallet=wallet, before=search.wallet)
        return True

    async def _owed(
        self, conn: AsyncConnection, session: Session, search: Search, wallet: str, state: str, now: datetime
    ) -> str:
        """The session's payout, owed by `wallet`, with the end of the search, in one transaction."""
        if session.stripe_session_id is None or not await payment_searches.settle(
            conn, search.session_id, self._owner, state
        ):
            raise _Lost
        values: dict[str, Any] = {"expected_units": search.amount, "attention": None}
        if not await sessions_service.change(conn, session, now=now, **values):
            raise _Lost
        return await payouts_service.create_payout(
            conn,
            session_id=session.id,
            stripe_session_id=session.stripe_session_id,
            to=session.wallet_address,
            amount=search.amount,
            token=self._rules.token,
            wallet=wallet,
            now=now,
            ids=self._ids,
            usdc=session.delivered_units,
        )

    async def _later(
        self, session: Session, search: Search, state: str, attention: str | None, *, seconds: float | None = None
    ) -> bool:
        """Look again later; `attention` is shown from now on where given."""
        now = self._clock.now()
        news = attention is not None and attention != session.attention
        async with self._database.write() as conn:
            if not await payment_searches.postpone(conn, search.session_id, self._owner, state, now, seconds):
                raise _Lost
            if news and not await sessions_service.change(conn, session, now=now, attention=attention):
                raise _Lost
        if news:
            log.critical("session.earlier_wallet_named", session=session.id, reason=attention)
        return news


def _candidates(named: str | None, others: Sequence[str], current: str | None) -> list[str]:
    """The wallets that may have paid: the one that the session names, then every other of this deployment.

    Not the one that pays now: before it signs, each of its own transactions is explained.
    """
    first = [] if named is None or named == current else [named]
    return [*first, *(one for one in others if one != named)]
