"""Fetch a session from Stripe again and apply what it says; rebuild one that this deployment sold and its database has lost."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import to_checksum
from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.ids import Ids
from kit.logs import get_logger
from kit.money import parse_units
from onramp.config.validation import SETTLEMENT_NETWORKS
from onramp.deployment.service import Deployment, OwnDeployment
from onramp.sessions import payment_searches, settlement_addresses
from onramp.sessions import service as sessions_service
from onramp.sessions.apply import Applied, apply
from onramp.sessions.config import SessionConfig
from onramp.sessions.ignored_sessions import IgnoredSessions
from onramp.sessions.model import BASIS_POINTS, Session, intent
from onramp.sessions.ownership import Ignored, Sale, disagreement, is_session_id, marks, sale_of
from onramp.sessions.schemas import FIAT_DECIMALS, source_currency
from onramp.stripe.port import (
    METADATA_FEE,
    METADATA_SESSION,
    METADATA_WALLET,
    NETWORK_KEYS,
    StripeGateway,
    StripeSession,
)
from treasury.core import hot_wallets
from treasury.core.hot_wallets import HotWallet

log = get_logger(__name__)
_RACES = 5


@dataclass(frozen=True, slots=True)
class Refresher:
    """Everything that applying Stripe's answers needs, chosen once."""

    database: Database
    stripe: StripeGateway
    rules: SessionConfig
    clock: Clock
    ids: Ids
    deployment: OwnDeployment
    ignored: IgnoredSessions
    ring: KeyRing
    """Proves which earlier settlement addresses are this deployment's."""

    async def refresh(self, stripe_session_id: str) -> Applied | None:
        """Ask Stripe, then apply; None where the session is not ours. Stripe's errors pass through to the caller."""
        fact = await self.stripe.get_session(stripe_session_id)
        return await self.apply_fact(fact)

    async def apply_fact(self, fact: StripeSession) -> Applied | None:
        """Apply a session as fetched from Stripe; never call it with the payload of an event."""
        deployment = await self.deployment.get()
        for _ in range(_RACES):
            async with self.database.write() as conn:
                session = await sessions_service.by_stripe_id(conn, fact.id)
                found = session or await self._adopt(conn, fact, deployment)
                if isinstance(found, Session):
                    applied = await apply(conn, found, fact, self.rules, deployment, now=self.clock.now(), ids=self.ids)
            if isinstance(found, Ignored):
                self.ignored.note(fact, found)
                return None
            if not applied.lost:
                if applied.changed:
                    owed = {} if applied.payout is None else {"payout": applied.payout}
                    log.info(
                        "session.payment",
                        session=applied.session,
                        stripe_session=fact.id,
                        status=applied.status,
                        **owed,
                    )
                return applied
        message = "a session changed under every try to apply Stripe's word; it will be asked again"
        raise RuntimeError(message)

    async def _adopt(self, conn: AsyncConnection, fact: StripeSession, deployment: Deployment) -> Session | Ignored:
        """Tie a Stripe session without a row to its intent, or rebuild the row that a backup does not have; else say why it is ignored."""
        session_id = (fact.metadata or {}).get(METADATA_SESSION, "")
        known = await sessions_service.get(conn, session_id) if is_session_id(session_id) else None
        if known is not None:
            return await self._tie(conn, known, fact, deployment)
        sale = sale_of(fact, deployment, self.rules)
        if isinstance(sale, Ignored):
            return sale
        now = self.clock.now()
        values = rebuilt(fact, sale, await self._sold_under(conn, fact, sale), deployment, now)
        if isinstance(values, Ignored):
            return values
        log.warning("session.rebuilt", session=session_id, stripe_session=fact.id, hot_wallet=sale.hot_wallet)
        await sessions_service.put(conn, values)
        if sale.hot_wallet is not None and sale.hot_wallet != self.rules.hot_wallet:
            # Named beside our own deployment id, it is a wallet that this deployment paid from, also where the backup does not know of it.
            await hot_wallets.record(conn, HotWallet(self.rules.chain_id, sale.hot_wallet), "stripe", now)
            await payment_searches.expect(conn, session_id, sale.hot_wallet, now)
        return await sessions_service.get(conn, session_id) or Ignored.CONTRADICTED

    async def _sold_under(self, conn: AsyncConnection, fact: StripeSession, sale: Sale) -> SessionConfig:
        """The rules that a lost session was sold under: settlement address and network may have been others than those of today.

        Stripe's session names them. An address is taken over only where a start of this deployment recorded it.
        """
        if sale.hot_wallet is None:
            return self.rules
        rules, network = self.rules, fact.destination_network or "".join(fact.destination_networks)
        if network in SETTLEMENT_NETWORKS:
            rules = replace(rules, destination_network=network)
        locked = fact.wallet_addresses.get(NETWORK_KEYS.get(network, network)) or fact.wallet_address or ""
        if await settlement_addresses.is_ours(conn, self.ring, locked):
            rules = replace(rules, settlement_address=to_checksum(locked.lower()))
        return rules

    async def _tie(
        self, conn: AsyncConnection, known: Session, fact: StripeSession, deployment: Deployment
    ) -> Session | Ignored:
        """Finish an intent whose create was cut off before Stripe's answer was stored."""
        if known.stripe_session_id is not None or disagreement(known, fact, deployment, self.rules) is not None:
            return Ignored.CONTRADICTED
        now = self.clock.now()
        await sessions_service.change(
            conn,
            known,
            now=now,
            stripe_session_id=fact.id,
            livemode=fact.livemode,
            payment_status="initialized",
            payment_updated_at=now,
        )
        log.info("session.tied", session=known.id, stripe_session=fact.id)
        return await sessions_service.get(conn, known.id) or Ignored.CONTRADICTED


def rebuilt(
    fact: StripeSession, sale: Sale, rules: SessionConfig, deployment: Deployment, now: datetime
) -> dict[str, Any] | Ignored:
    """The row of a session that only Stripe remembers, from its metadata; nothing is rebuilt that create would not sell."""
    metadata = fact.metadata or {}
    try:
        wallet = to_checksum(metadata[METADATA_WALLET])
        fee = parse_units(metadata[METADATA_FEE], 0)
        made = datetime.fromtimestamp(fact.created, UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return Ignored.MALFORMED
    if not 0 <= fee < BASIS_POINTS:
        return Ignored.MALFORMED
    try:
        currency = source_currency(fact.source_currency or "")
    except ValueError:
        return Ignored.CURRENCY
    try:
        minor = parse_units(fact.source_amount or "", FIAT_DECIMALS)
    except ValueError:
        return Ignored.AMOUNT
    if not rules.min_minor <= minor <= rules.max_minor:
        return Ignored.AMOUNT
    sold = replace(rules, mode="observe" if sale.hot_wallet is None else "payout")
    return (
        intent(
            sold,
            session_id=sale.session_id,
            wallet=wallet,
            minor=minor,
            currency=currency,
            fee_bps=fee,
            made=made,
            now=now,
        )
        | marks(deployment, replace(rules, hot_wallet=sale.hot_wallet))
        | {"stripe_session_id": fact.id, "payment_status": "initialized", "livemode": fact.livemode}
    )
