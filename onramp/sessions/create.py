"""Create: intent first, then Stripe with a key of ours and no transaction open, then the outcome.

A crash in between leaves an intent that the reconciler finishes with the same key; a client that tries again with its own key
meets the same session.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from chain.types import ZERO_ADDRESS, to_checksum
from kit.clock import Clock
from kit.columns import db_now
from kit.database import Database
from kit.ids import Ids
from kit.logs import get_logger
from kit.money import format_units, parse_units
from kit.problems import FieldError, Problem, invalid
from onramp.deliveries.cursor import known_head
from onramp.sessions import inventory, service
from onramp.sessions.apply import METADATA_FEE, METADATA_SESSION, METADATA_WALLET
from onramp.sessions.model import Session
from onramp.sessions.refresh import intent
from onramp.sessions.rules import CREATE_LEASE_SECONDS, STRIPE_KEY_LIFETIME, SessionRules
from onramp.sessions.shapes import CreateSession
from onramp.sessions.table import sessions
from onramp.stripe import port
from onramp.stripe.errors import StripeRefused, StripeUnavailable
from onramp.stripe.port import echo_differences

log = get_logger(__name__)
MIN_KEY = 16
MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class Order:
    """A create request that has passed every check that needs no database."""

    wallet: str
    minor: int
    currency: str
    email: str | None
    key_hash: str | None
    body_hash: str


def check(body: CreateSession, key: str | None, rules: SessionRules) -> Order:
    """Refuse, naming each field, what can never become a session."""
    if key is not None and not MIN_KEY <= len(key) <= MAX_KEY:
        raise Problem(400, "idempotency_key_invalid", f"Idempotency-Key takes {MIN_KEY} to {MAX_KEY} characters.")
    errors = []
    wallet = body.wallet_address
    try:
        wallet = to_checksum(body.wallet_address)
    except ValueError as error:
        errors.append(FieldError("/walletAddress", str(error)))
    if wallet == ZERO_ADDRESS:
        errors.append(FieldError("/walletAddress", "is the zero address: nobody could ever spend the MUSD"))
    if wallet.lower() == rules.token.lower():
        errors.append(FieldError("/walletAddress", "is the MUSD token itself, which refuses transfers to it"))
    if rules.hot_wallet is not None and wallet.lower() == rules.hot_wallet.lower():
        errors.append(FieldError("/walletAddress", "is the wallet that pays; it cannot buy from itself"))
    minor = parse_units(body.source_amount, 2)
    if not rules.min_minor <= minor <= rules.max_minor:
        bounds = f"{format_units(rules.min_minor, 2)} and {format_units(rules.max_minor, 2)}"
        errors.append(FieldError("/sourceAmount", f"must be between {bounds}"))
    if errors:
        raise invalid(errors)
    digest = hashlib.sha256(f"{wallet}|{minor}|{body.source_currency}|{body.email or ''}".encode()).hexdigest()
    key_hash = hashlib.sha256(key.encode()).hexdigest() if key is not None else None
    return Order(wallet, minor, body.source_currency, body.email, key_hash, digest)


@dataclass(frozen=True, slots=True)
class Creator:
    """Everything create needs, chosen once."""

    database: Database
    stripe: port.StripeGateway
    rules: SessionRules
    clock: Clock
    ids: Ids

    async def create(self, order: Order, *, ip: str | None = None) -> tuple[Session, port.StripeSession]:
        """The session and Stripe's own, for its creator's eyes. Raises Problem; the same key may always be tried again."""
        session = await self._intent(order)
        if session.refusal_code is not None:
            raise refusal(session.refusal_code, session.refusal_detail)
        if session.stripe_session_id is not None:
            return session, await self.stripe.get_session(session.stripe_session_id)
        return await self.finish(session, email=order.email, ip=ip)

    async def finish(
        self, session: Session, *, email: str | None, ip: str | None = None
    ) -> tuple[Session, port.StripeSession]:
        """Ask Stripe for the session of this intent and store the outcome; the caller holds the intent's lease."""
        command = self.command(session, email, ip)
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
            log.critical("session.echo_mismatch", session=session.id, differences=differences)
            await self._store(
                session,
                stripe_session_id=fact.id,
                payment_status="rejected",
                payment_updated_at=self.clock.now(),
                refusal_code="stripe_echo_mismatch",
                refusal_detail=None,
            )
            raise refusal("stripe_echo_mismatch", None)
        stored = await self._store(
            session,
            stripe_session_id=fact.id,
            livemode=fact.livemode,
            payment_status="initialized",
            payment_updated_at=self.clock.now(),
            asked_at=self.clock.now(),
            tries=0,
        )
        return stored, fact

    async def find_or_make(self, session: Session) -> None:
        """Finish an intent whose request cannot be repeated to the letter: look for what it made, else make it anew."""
        fact = await self._lookup(session) or await self._make_anew(session, self.command(session, None, None))
        await self._settle(session, self.command(session, None, None), fact)

    def command(self, session: Session, email: str | None, ip: str | None) -> port.CreateSession:
        """What Stripe is asked; the same for every try under one key."""
        metadata: Mapping[str, str] = {
            METADATA_SESSION: session.id,
            METADATA_WALLET: session.wallet_address,
            METADATA_FEE: str(session.fee_bps),
        }
        return port.CreateSession(
            session_id=session.id,
            wallet_address=session.locked_address,
            source_amount=format_units(session.source_minor, 2),
            source_currency=session.source_currency,
            destination_currency=session.destination_currency,
            destination_network=session.destination_network,
            metadata=dict(metadata),
            email=email,
            ip=ip,
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
        return await self._lookup(session) or await self._make_anew(session, command)

    async def _lookup(self, session: Session) -> port.StripeSession | None:
        since = int((session.created_at - timedelta(minutes=5)).timestamp())
        async for fact in self.stripe.find_sessions_created_since(since):
            if (fact.metadata or {}).get(METADATA_SESSION) == session.id:
                return fact
        return None

    async def _make_anew(self, session: Session, command: port.CreateSession) -> port.StripeSession:
        generation = session.stripe_key_generation + 1
        async with self.database.write() as connection:
            await connection.execute(
                sa.update(sessions).where(sessions.c.id == session.id).values(stripe_key_generation=generation)
            )
        return await self.stripe.create_session(command, idempotency_key=f"{session.id}-{generation}")

    async def _intent(self, order: Order) -> Session:
        now = self.clock.now()
        async with self.database.write() as connection:
            if order.key_hash is not None:
                known = await service.by_client_key(connection, order.wallet, order.key_hash)
                if known is not None:
                    return await self._replayed(connection, known, order)
            await inventory.require(connection, self.rules, order.minor, order.currency, now)
            locked = self.rules.settlement_address if self.rules.mode == "payout" else order.wallet
            values = intent(
                session_id=self.ids.new("ons_"),
                wallet=order.wallet,
                minor=order.minor,
                currency=order.currency,
                locked=locked or order.wallet,
                fee_bps=self.rules.fee_bps,
                rules=self.rules,
                made=now,
                now=now,
            ) | {
                "from_block": await known_head(connection, self.rules.chain_id),
                "idempotency_hash": order.key_hash,
                "body_hash": order.body_hash,
                "has_email": order.email is not None,
                "lease_owner": "create",
                "lease_until": now + timedelta(seconds=CREATE_LEASE_SECONDS),
            }
            if await service.put(connection, values):
                made = await service.get(connection, values["id"])
            else:
                made = None
        if made is not None:
            return made
        # The same key was inserted by a twin request between our look and our insert: only it may go on.
        raise in_progress()

    async def _replayed(self, connection: Any, known: Session, order: Order) -> Session:
        if known.body_hash != order.body_hash:
            raise Problem(
                409,
                "idempotency_key_reused",
                "This Idempotency-Key was used with another body. Use a new key for a new purchase.",
            )
        if known.stripe_session_id is not None or known.refusal_code is not None:
            return known
        taken = await connection.execute(
            sa.update(sessions)
            .where(
                sessions.c.id == known.id,
                sessions.c.stripe_session_id.is_(None),
                sa.or_(sessions.c.lease_until.is_(None), sessions.c.lease_until < db_now()),
            )
            .values(lease_owner="create", lease_until=db_now(CREATE_LEASE_SECONDS))
        )
        if taken.rowcount != 1:
            raise in_progress()
        return known

    async def _store(self, session: Session, **values: Any) -> Session:
        async with self.database.write() as connection:
            await service.change(
                connection, session, now=self.clock.now(), lease_owner=None, lease_until=None, **values
            )
            stored = await service.get(connection, session.id)
        if stored is None:
            message = "a session row vanished"
            raise RuntimeError(message)
        return stored

    async def _release(self, session: Session) -> None:
        async with self.database.write() as connection:
            await connection.execute(
                sa.update(sessions)
                .where(sessions.c.id == session.id, sessions.c.lease_owner == "create")
                .values(lease_owner=None, lease_until=None, tries=sessions.c.tries + 1, asked_at=self.clock.now())
            )


def in_progress() -> Problem:
    """A first request with this key is still on its way."""
    return Problem(
        409,
        "idempotency_in_progress",
        "A request with this Idempotency-Key is still being served. Try again in a moment.",
        headers={"Retry-After": "1"},
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
