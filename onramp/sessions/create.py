"""Create a session: store the intent, request the session from Stripe with no transaction open, store the outcome.

A crash in between leaves an intent, which the reconcile worker finishes with the same idempotency key at Stripe. A client that retries
with the same `Idempotency-Key` gets the same session. Intents and outcomes of concurrent requests share one transaction each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from kit.alarms import service as alarms_service
from kit.batching import GroupCommit
from kit.clock import Clock
from kit.crypto.encryption import DecryptionError
from kit.crypto.keyring import KeyRing
from kit.db.bulk import update_unchanged_autocommit
from kit.db.database import Database
from kit.http.problems import Problem
from kit.logs import bind, get_logger
from kit.state import Moved
from onramp.sessions import contacts, states
from onramp.sessions import service as sessions_service
from onramp.sessions.config import STRIPE_KEY_LIFETIME, SessionConfig
from onramp.sessions.model import Session, initialized_columns
from onramp.sessions.moves import SessionMoved
from onramp.sessions.ownership import metadata_of
from onramp.sessions.purchase_intents import LEASE_OWNER, PurchaseIntents
from onramp.sessions.purchase_request import PurchaseRequest
from onramp.sessions.table import sessions
from onramp.stripe.errors import StripeRefused, StripeUnavailable
from onramp.stripe.port import (
    METADATA_FEE,
    METADATA_REFERENCE,
    METADATA_SESSION,
    METADATA_WALLET,
    CreateSessionParams,
    StripeGateway,
    StripeSession,
    echo_differences,
)

log = get_logger(__name__)
ECHO_MISMATCH = "stripe_echo_mismatch"


class Creator:
    """Creates sessions for buyers, and finishes interrupted creates for the reconcile worker."""

    def __init__(
        self,
        database: Database,
        stripe: StripeGateway,
        config: SessionConfig,
        clock: Clock,
        ring: KeyRing,
        intents: PurchaseIntents,
    ) -> None:
        self.database = database
        self.stripe = stripe
        self.config = config
        self.clock = clock
        self._ring = ring
        self._intents = intents
        self._initialized: GroupCommit[Session, bool] = GroupCommit(self._write_initialized)

    async def create(self, request: PurchaseRequest) -> tuple[Session, StripeSession]:
        """Return our session and Stripe's, whose secrets only the creator may see. Raises Problem; a retry with the same key is safe."""
        session = await self._intents.lease(request)
        # Bound for the rest of the request: every log line from here on names the session beside the request's id.
        bind(session=session.id)
        if session.refusal_code is not None:
            log.info("session.asked_again", refused=session.refusal_code)
            raise refusal(session.refusal_code, session.refusal_detail)
        if session.stripe_session_id is not None:
            log.info("session.asked_again", stripe_session=session.stripe_session_id)
            return session, await self.stripe.get_session(session.stripe_session_id)
        try:
            return await self.finish(session, email=request.email)
        except Problem as problem:
            log.info("session.not_created", code=problem.code)
            raise

    async def finish(self, session: Session, *, email: str | None) -> tuple[Session, StripeSession]:
        """Request this intent's session from Stripe and store the outcome; return both sessions. The caller holds the intent's lease. Raises Problem."""
        params = self.stripe_params(session, email)
        try:
            fact = await self._request(session, params)
        except StripeRefused as error:
            await self._store_refusal(session, error.code, error.detail)
            raise
        except BaseException:
            await self._release(session)
            raise
        return await self._store_created(session, params, fact)

    async def finish_interrupted(self, session: Session) -> None:
        """Finish an intent whose request was cut off, with the same parameters; the caller holds the intent's lease. Raises Problem."""
        email = await self._email_of(session) if session.has_email else None
        if not session.has_email or email is not None:
            await self.finish(session, email=email)
            return
        # Without the e-mail the request cannot be repeated under its key: look for what it created, else create under a new key.
        params = self.stripe_params(session, None)
        fact = await self._find_at_stripe(session) or await self._request_with_new_key(session, params)
        await self._store_created(session, params, fact)

    def stripe_params(self, session: Session, email: str | None) -> CreateSessionParams:
        """Return the parameters of the request to Stripe; they are the same for every attempt under one key."""
        metadata = {
            METADATA_SESSION: session.id,
            METADATA_WALLET: session.wallet_address,
            METADATA_FEE: str(session.fee_bps),
            **metadata_of(session),
        }
        if session.reference is not None:
            metadata[METADATA_REFERENCE] = session.reference
        return CreateSessionParams(
            session_id=session.id,
            wallet_address=session.locked_address,
            source_amount=session.source.text,
            source_currency=session.source_currency,
            destination_currency=session.destination_currency,
            destination_network=session.destination_network,
            metadata=metadata,
            email=email,
        )

    async def _request(self, session: Session, params: CreateSessionParams) -> StripeSession:
        """Create the session under our key; under a new key only after a listing shows that the old one created nothing."""
        key = f"{session.id}-{session.stripe_key_generation}"
        has_expired_key = self.clock.now() - session.created_at > STRIPE_KEY_LIFETIME
        if not has_expired_key:
            try:
                return await self.stripe.create_session(params, idempotency_key=key)
            except StripeUnavailable as error:
                if not error.stored_failure:
                    raise
        return await self._find_at_stripe(session) or await self._request_with_new_key(session, params)

    async def _find_at_stripe(self, session: Session) -> StripeSession | None:
        since = int((session.created_at - timedelta(minutes=5)).timestamp())
        async for fact in self.stripe.find_sessions_created_since(since):
            if (fact.metadata or {}).get(METADATA_SESSION) == session.id:
                return fact
        return None

    async def _request_with_new_key(self, session: Session, params: CreateSessionParams) -> StripeSession:
        generation = session.stripe_key_generation + 1
        async with self.database.write() as conn:
            await conn.execute(
                sa.update(sessions).where(sessions.c.id == session.id).values(stripe_key_generation=generation)
            )
        return await self.stripe.create_session(params, idempotency_key=f"{session.id}-{generation}")

    async def _store_created(
        self, session: Session, params: CreateSessionParams, fact: StripeSession
    ) -> tuple[Session, StripeSession]:
        """Compare Stripe's echo with the request, then store the session and return both; raise Problem if they differ, so that nothing is handed out."""
        differences = echo_differences(params, fact)
        if differences:
            facts = {"session": session.id, "stripe_session": fact.id, "differences": differences}
            await self._store_refusal(session, ECHO_MISMATCH, None, facts, stripe_session_id=fact.id)
            raise refusal(ECHO_MISMATCH, None)
        now = self.clock.now()
        columns = initialized_columns(
            session.payment_status, stripe_session_id=fact.id, livemode=fact.livemode, now=now
        )
        if columns is not None:
            initialized = replace(
                session, version=session.version + 1, asked_at=now, updated_at=now, tries=0, **columns
            )
            is_stored = await self._initialized.submit(initialized)
            log.info("session.created", session=session.id, stripe_session=fact.id)
            if is_stored:
                return initialized, fact
        # Someone else stored it first: an event that arrived before Stripe's answer to us.
        return await self._stored(session), fact

    async def _write_initialized(self, initialized: Sequence[Session]) -> Sequence[bool]:
        """Store these sessions; return for each whether its row was still as the intent left it."""
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
            for session in initialized
        ]
        changed = set(await update_unchanged_autocommit(self.database, sessions, rows))
        self.database.committed(
            SessionMoved("payment", session.payment_status) for session in initialized if session.id in changed
        )
        return [session.id in changed for session in initialized]

    async def _email_of(self, session: Session) -> str | None:
        try:
            async with self.database.read() as conn:
                return await contacts.email_of(conn, self._ring, session.id)
        except DecryptionError as error:
            log.warning("session.contact_not_opened", session=session.id, reason=str(error))
            return None

    async def _store_refusal(
        self,
        session: Session,
        code: str,
        detail: str | None,
        mismatch: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> None:
        """Store why nothing was sold; `mismatch` are the facts of an alarm that Stripe's echo differs from the request."""
        now = self.clock.now()
        values: dict[str, Any] = {"refusal_code": code, "refusal_detail": detail, **columns}
        outcome = states.refuse_creation(session.payment_status)
        if isinstance(outcome, Moved):
            values |= {"payment_status": outcome.to, "payment_updated_at": now}
        async with self.database.write() as conn:
            await sessions_service.change(conn, session, now=now, lease_owner=None, lease_until=None, **values)
            if mismatch is not None:
                await alarms_service.raise_in(conn, "session.echo_mismatch", session.id, now, **mismatch)

    async def _stored(self, session: Session) -> Session:
        async with self.database.read() as conn:
            stored = await sessions_service.get(conn, session.id)
        if stored is None:
            raise RuntimeError(f"the row of session {session.id} vanished")
        return stored

    async def _release(self, session: Session) -> None:
        async with self.database.write() as conn:
            await conn.execute(
                sa.update(sessions)
                .where(sessions.c.id == session.id, sessions.c.lease_owner == LEASE_OWNER)
                .values(lease_owner=None, lease_until=None, tries=sessions.c.tries + 1, asked_at=self.clock.now())
            )


def refusal(code: str, detail: str | None) -> Problem:
    """Return the stored refusal as a problem, the same at every retry."""
    if code == ECHO_MISMATCH:
        return Problem(
            502,
            code,
            "The payment service did not confirm what was requested, so nothing was handed out. Nothing was charged; start again.",
        )
    return Problem(422, code, detail or "The payment service refused this purchase.")
