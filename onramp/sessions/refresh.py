"""Fetch a session from Stripe again and apply what it reports; rebuild a session that this deployment sold and its database lost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import to_checksum
from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.ids import Ids
from kit.logs import get_logger
from kit.money import Money, parse_units
from onramp.config.validation import SETTLEMENT_NETWORKS
from onramp.deployment.service import Deployment, OwnDeployment
from onramp.sessions import buyer_context, payment_searches, settlement_addresses
from onramp.sessions import service as sessions_service
from onramp.sessions.apply import Applied, apply
from onramp.sessions.config import SessionConfig
from onramp.sessions.ignored_sessions import IgnoredSessions
from onramp.sessions.model import BASIS_POINTS, FIAT_DECIMALS, Session, initialized_columns, intent_row
from onramp.sessions.ownership import Ignored, Sale, disagreement, is_session_id, ownership_columns, sale_of
from onramp.sessions.schemas import source_currency
from onramp.sessions.status import PaymentStatus
from onramp.stripe.port import (
    METADATA_FEE,
    METADATA_REFERENCE,
    METADATA_SESSION,
    METADATA_WALLET,
    NETWORK_KEYS,
    StripeGateway,
    StripeSession,
)
from treasury.core import hot_wallets
from treasury.core.hot_wallets import HotWallet

log = get_logger(__name__)
MAX_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Refresher:
    """Brings sessions up to date with Stripe."""

    database: Database
    stripe: StripeGateway
    config: SessionConfig
    clock: Clock
    ids: Ids
    deployment: OwnDeployment
    ignored: IgnoredSessions
    ring: KeyRing
    """The key ring that proves which earlier settlement addresses belong to this deployment."""

    async def refresh(self, stripe_session_id: str) -> Applied | None:
        """Fetch a session from Stripe, apply it and return what changed; None if it is not ours. Raises the problems of `onramp.stripe.errors`."""
        fact = await self.stripe.get_session(stripe_session_id)
        return await self.apply_fact(fact)

    async def apply_fact(self, fact: StripeSession) -> Applied | None:
        """Apply a session as fetched from Stripe, never the payload of an event, and return what changed; None if it is not ours."""
        deployment = await self.deployment.get()
        for _ in range(MAX_ATTEMPTS):
            async with self.database.write() as conn:
                session = await sessions_service.by_stripe_id(conn, fact.id) or await self._adopt(
                    conn, fact, deployment
                )
                if isinstance(session, Session):
                    applied = await apply(
                        conn, session, fact, self.config, deployment, now=self.clock.now(), ids=self.ids
                    )
            if isinstance(session, Ignored):
                self.ignored.note(fact, session)
                return None
            if not applied.conflict:
                if applied.changed:
                    payout = {} if applied.payout is None else {"payout": applied.payout}
                    log.info(
                        "session.payment",
                        session=applied.session,
                        stripe_session=fact.id,
                        status=applied.status,
                        **payout,
                    )
                return applied
        raise RuntimeError(
            f"a session changed during each of {MAX_ATTEMPTS} attempts to apply Stripe's report; it is retried later"
        )

    async def _adopt(self, conn: AsyncConnection, fact: StripeSession, deployment: Deployment) -> Session | Ignored:
        """Tie a Stripe session without a row to its intent, or rebuild the row if this database lost it, and return it; else the reason to ignore it."""
        session_id = (fact.metadata or {}).get(METADATA_SESSION, "")
        intent = await sessions_service.get(conn, session_id) if is_session_id(session_id) else None
        if intent is not None:
            return await self._tie(conn, intent, fact, deployment)
        sale = sale_of(fact, deployment, self.config)
        if isinstance(sale, Ignored):
            return sale
        now = self.clock.now()
        values = rebuilt(fact, sale, await self._config_at_sale(conn, fact, sale), deployment, now)
        if isinstance(values, Ignored):
            return values
        log.warning("session.rebuilt", session=session_id, stripe_session=fact.id, hot_wallet=sale.hot_wallet)
        await sessions_service.put(conn, values)
        if sale.hot_wallet is not None and sale.hot_wallet != self.config.hot_wallet:
            # Named together with our own deployment id, it is a wallet that this deployment paid from, even if the backup has no record of it.
            await hot_wallets.record(conn, HotWallet(self.config.chain_id, sale.hot_wallet), "stripe", now)
            await payment_searches.expect(conn, session_id, sale.hot_wallet, now)
        return await sessions_service.get(conn, session_id) or Ignored.CONTRADICTED

    async def _config_at_sale(self, conn: AsyncConnection, fact: StripeSession, sale: Sale) -> SessionConfig:
        """Return the settings under which a lost session was sold: settlement address and network may have changed since.

        Stripe's session names both. An address is accepted only if a start of this deployment recorded it.
        """
        if sale.hot_wallet is None:
            return self.config
        config, network = self.config, fact.destination_network or "".join(fact.destination_networks)
        if network in SETTLEMENT_NETWORKS:
            config = replace(config, destination_network=network)
        locked = fact.wallet_addresses.get(NETWORK_KEYS.get(network, network)) or fact.wallet_address or ""
        if await settlement_addresses.is_ours(conn, self.ring, locked):
            config = replace(config, settlement_address=to_checksum(locked.lower()))
        return config

    async def _tie(
        self, conn: AsyncConnection, intent: Session, fact: StripeSession, deployment: Deployment
    ) -> Session | Ignored:
        """Finish an intent whose create was interrupted before Stripe's answer was stored; return the session, or the reason to ignore Stripe's."""
        if intent.stripe_session_id is not None or disagreement(intent, fact, deployment, self.config) is not None:
            return Ignored.CONTRADICTED
        now = self.clock.now()
        columns = initialized_columns(intent.payment_status, stripe_session_id=fact.id, livemode=fact.livemode, now=now)
        if columns is None:
            return Ignored.CONTRADICTED
        await sessions_service.change(conn, intent, now=now, **columns)
        log.info("session.tied", session=intent.id, stripe_session=fact.id)
        return await sessions_service.get(conn, intent.id) or Ignored.CONTRADICTED


def rebuilt(
    fact: StripeSession, sale: Sale, config: SessionConfig, deployment: Deployment, now: datetime
) -> dict[str, Any] | Ignored:
    """Return the row of a session that only Stripe remembers, made from its metadata; the reason to ignore it if create would not have sold it."""
    metadata = fact.metadata or {}
    try:
        wallet = to_checksum(metadata[METADATA_WALLET])
        fee_bps = parse_units(metadata[METADATA_FEE], 0)
        created_at = datetime.fromtimestamp(fact.created, UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return Ignored.MALFORMED
    if not 0 <= fee_bps < BASIS_POINTS:
        return Ignored.MALFORMED
    try:
        currency = source_currency(fact.source_currency or "")
    except ValueError:
        return Ignored.CURRENCY
    try:
        source = Money(parse_units(fact.source_amount or "", FIAT_DECIMALS), currency, FIAT_DECIMALS)
    except ValueError:
        return Ignored.AMOUNT
    if not config.min_minor <= source.minor <= config.max_minor:
        return Ignored.AMOUNT
    columns = initialized_columns(PaymentStatus.CREATED, stripe_session_id=fact.id, livemode=fact.livemode, now=now)
    intent = intent_row(
        replace(config, mode="observe" if sale.hot_wallet is None else "payout"),
        session_id=sale.session_id,
        wallet=wallet,
        source=source,
        fee_bps=fee_bps,
        created_at=created_at,
        now=now,
    )
    seller = ownership_columns(deployment, replace(config, hot_wallet=sale.hot_wallet))
    # A row changes less often than once a second, so no version of the lost one was above this.
    version = 1 + max(0, int((now - created_at).total_seconds()))
    return intent | seller | {"version": version, "reference": _reference(metadata)} | (columns or {})


def _reference(metadata: Mapping[str, str]) -> str | None:
    """Return the dApp's reference from Stripe's metadata; None if it is missing or invalid."""
    try:
        return buyer_context.reference(metadata.get(METADATA_REFERENCE, ""))
    except ValueError:
        return None
