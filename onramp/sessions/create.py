"""Create: intent first, then Stripe with a key of ours and no transaction open, then the outcome.

A crash in between leaves an intent that the reconciler finishes with the same key; a client that tries again with its own key
meets the same session. Intents and outcomes of buyers who come together share a transaction each.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from kit.batching import GroupCommit
from kit.clock import Clock
from kit.crypto.encryption import DecryptionError
from kit.crypto.keyring import KeyRing
from kit.db.bulk import update_unchanged_alone
from kit.db.database import Database
from kit.http.problems import Problem
from kit.ids import Ids
from kit.logs import bind, get_logger
from kit.money import format_units
from onramp.deployment.service import OwnDeployment
from onramp.screening.sanctions_list import Screening
from onramp.sessions import contacts
from onramp.sessions import service as sessions_service
from onramp.sessions.config import STRIPE_KEY_LIFETIME, SessionConfig
from onramp.sessions.model import Session
from onramp.sessions.ownership import metadata_of
from onramp.sessions.purchase_intents import PurchaseIntents
from onramp.sessions.purchase_request import PurchaseRequest
from onramp.sessions.table import sessions
from onramp.stripe import port
from onramp.stripe.errors import StripeRefused, StripeUnavailable
from onramp.stripe.port import METADATA_FEE, METADATA_SESSION, METADATA_WALLET, echo_differences

log = get_logger(__name__)


class Creator:
    """The whole of create; also what the reconciler finishes intents with."""

    def __init__(
        self,
        database: Database,
        stripe: port.StripeGateway,
        rules: SessionConfig,
        clock: Clock,
        ids: Ids,
        screening: Screening,
        ring: KeyRing,
        deployment: OwnDeployment,
    ) -> None:
        """Everything create needs, chosen once."""
        self.database = database
        self.stripe = stripe
        self.rules = rules
        self.clock = clock
        self._ring = ring
        self._intents = PurchaseIntents(database, rules, clock, ids, screening, ring, deployment)
        self._made: GroupCommit[Session, bool] = GroupCommit(self._write_made)

    async def create(self, order: PurchaseRequest) -> tuple[Session, port.StripeSession]:
        """The session and Stripe's own, for its creator's eyes. Raises Problem; the same key may always be tried again."""
        session = await self._intents.of(order)
        # Bound for the rest of the request, whose id stands beside it: the line of whatever goes wrong from here on names the session.
        bind(session=session.id)
        if session.refusal_code is not None:
            log.info("session.asked_again", refused=session.refusal_code)
            raise refusal(session.refusal_code, session.refusal_detail)
        if session.stripe_session_id is not None:
            log.info("session.asked_again", stripe_session=session.stripe_session_id)
            return session, await self.stripe.get_session(session.stripe_session_id)
        try:
            return await self.finish(session, email=order.email)
        except Problem as problem:
            log.info("session.not_created", code=problem.code)
            raise

    async def finish(self, session: Session, *, email: str | None) -> tuple[Session, port.StripeSession]:
        """Ask Stripe for the session of this intent and store the outcome; the caller holds the intent's lease."""
        command = self.command(session, email)
        try:
            fact = await self._ask(session, command)
        except StripeRefused as refused:
            await self._store(
                session,
                payment_status="rejected",
                payment_updated_at=self.clock.now(),
                refusal_code=refused.code,
                refusal_detail=refused.detail,
            )
            raise
        except BaseException:
            await self._release(session)
            raise
        return await self._settle(session, command, fact)

    async def _settle(
        self, session: Session, command: port.CreateSession, fact: port.StripeSession
    ) -> tuple[Session, port.StripeSession]:
        """Compare the echo with the question, then store; a difference hands out nothing."""
        differences = echo_differences(command, fact)
        if differences:
            log.critical("session.echo_mismatch", session=session.id, stripe_session=fact.id, differences=differences)
            await self._store(
                session,
                stripe_session_id=fact.id,
                payment_status="rejected",
                payment_updated_at=self.clock.now(),
                refusal_code="stripe_echo_mismatch",
                refusal_detail=None,
            )
            raise refusal("stripe_echo_mismatch", None)
        now = self.clock.now()
        made = replace(
            session,
            version=session.version + 1,
            stripe_session_id=fact.id,
            livemode=fact.livemode,
            payment_status="initialized",
            payment_updated_at=now,
            asked_at=now,
            updated_at=now,
            tries=0,
        )
        is_made = await self._made.submit(made)
        log.info("session.created", session=session.id, stripe_session=fact.id)
        if is_made:
            return made, fact
        # Another knew of it first: an event that overtook our own answer.
        return await self._stored(session), fact

    async def _write_made(self, made: Sequence[Session]) -> Sequence[bool]:
        """Whether each was still as its intent left it."""
        rows = [
            {
                "id": session.id,
                "version": session.version - 1,
                "stripe_session_id": session.stripe_session_id,
                "livemode": session.livemode,
                "payment_status": session.payment_status,
                "payment_updated_at": session.payment_updated_at,
                "asked_at": session.asked_at,
                "updated_at": session.updated_at,
                "tries": session.tries,
                "lease_owner": None,
                "lease_until": None,
            }
            for session in made
        ]
        changed = set(await update_unchanged_alone(self.database, sessions, rows))
        return [session.id in changed for session in made]

    async def finish_broken_off(self, session: Session) -> None:
        """Finish an intent whose request went away, to the letter; the caller holds the intent's lease. Raises Problem."""
        email = await self._email_of(session) if session.has_email else None
        if session.has_email and email is None:
            await self._find_or_make(session)
        else:
            await self.finish(session, email=email)

    async def _email_of(self, session: Session) -> str | None:
        try:
            async with self.database.read() as conn:
                return await contacts.email_of(conn, self._ring, session.id)
        except DecryptionError as error:
            log.warning("session.contact_not_opened", session=session.id, reason=str(error))
            return None

    async def _find_or_make(self, session: Session) -> None:
        """Finish an intent whose request cannot be repeated to the letter: look for what it made, else make it anew."""
        command = self.command(session, None)
        fact = await self._lookup(session) or await self._create_again(session, command)
        await self._settle(session, command, fact)

    def command(self, session: Session, email: str | None) -> port.CreateSession:
        """What Stripe is asked; the same for every try under one key."""
        metadata = {
            METADATA_SESSION: session.id,
            METADATA_WALLET: session.wallet_address,
            METADATA_FEE: str(session.fee_bps),
            **metadata_of(session),
        }
        return port.CreateSession(
            session_id=session.id,
            wallet_address=session.locked_address,
            source_amount=format_units(session.source_minor, 2),
            source_currency=session.source_currency,
            destination_currency=session.destination_currency,
            destination_network=session.destination_network,
            metadata=metadata,
            email=email,
        )

    async def _ask(self, session: Session, command: port.CreateSession) -> port.StripeSession:
        """Stripe under our key; under a new one only after a listing shows that the old one made nothing."""
        key = f"{session.id}-{session.stripe_key_generation}"
        stale = self.clock.now() - session.created_at > STRIPE_KEY_LIFETIME
        if not stale:
            try:
                return await self.stripe.create_session(command, idempotency_key=key)
            except StripeUnavailable as error:
                if not error.stored_failure:
                    raise
        return await self._lookup(session) or await self._create_again(session, command)

    async def _lookup(self, session: Session) -> port.StripeSession | None:
        since = int((session.created_at - timedelta(minutes=5)).timestamp())
        async for fact in self.stripe.find_sessions_created_since(since):
            if (fact.metadata or {}).get(METADATA_SESSION) == session.id:
                return fact
        return None

    async def _create_again(self, session: Session, command: port.CreateSession) -> port.StripeSession:
        generation = session.stripe_key_generation + 1
        async with self.database.write() as conn:
            await conn.execute(
                sa.update(sessions).where(sessions.c.id == session.id).values(stripe_key_generation=generation)
            )
        return await self.stripe.create_session(command, idempotency_key=f"{session.id}-{generation}")

    async def _store(self, session: Session, **values: Any) -> Session:
        async with self.database.write() as conn:
            await sessions_service.change(
                conn, session, now=self.clock.now(), lease_owner=None, lease_until=None, **values
            )
        return await self._stored(session)

    async def _stored(self, session: Session) -> Session:
        async with self.database.read() as conn:
            stored = await sessions_service.get(conn, session.id)
        if stored is None:
            message = "a session row vanished"
            raise RuntimeError(message)
        return stored

    async def _release(self, session: Session) -> None:
        async with self.database.write() as conn:
            await conn.execute(
                sa.update(sessions)
                .where(sessions.c.id == session.id, sessions.c.lease_owner == "create")
                .values(lease_owner=None, lease_until=None, tries=sessions.c.tries + 1, asked_at=self.clock.now())
            )


def refusal(code: str, detail: str | None) -> Problem:
    """The same refusal, however often it is asked for."""
    if code == "stripe_echo_mismatch":
        return Problem(
            502,
            code,
            "The payment service did not confirm what was asked, so nothing was handed out. Nothing was charged; start again.",
        )
    return Problem(422, code, detail or "The payment service refused this purchase.")
