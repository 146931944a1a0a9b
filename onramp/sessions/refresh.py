"""Fetch a session from Stripe again and apply what it says; rebuild one that the database has lost."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import to_checksum
from kit.clock import Clock
from kit.database import Database
from kit.ids import Ids
from kit.logs import get_logger
from kit.money import parse_units
from onramp.sessions import service
from onramp.sessions.apply import Applied, apply
from onramp.sessions.model import BASIS_POINTS, Session, intent
from onramp.sessions.rules import SessionRules
from onramp.stripe.port import METADATA_FEE, METADATA_SESSION, METADATA_WALLET, StripeGateway, StripeSession

log = get_logger(__name__)
_RACES = 5


@dataclass(frozen=True, slots=True)
class Refresher:
    """Everything the verb needs, chosen once."""

    database: Database
    stripe: StripeGateway
    rules: SessionRules
    clock: Clock
    ids: Ids

    async def refresh(self, stripe_session_id: str) -> Applied | None:
        """Ask Stripe, then apply; None where the session is not ours. Stripe's errors pass through to the caller."""
        fact = await self.stripe.get_session(stripe_session_id)
        return await self.apply_fact(fact)

    async def apply_fact(self, fact: StripeSession) -> Applied | None:
        """Apply a session as fetched from Stripe; never call it with the payload of an event."""
        for _ in range(_RACES):
            async with self.database.write() as connection:
                session = await service.by_stripe_id(connection, fact.id)
                if session is None:
                    session = await self._adopt(connection, fact)
                if session is None:
                    return None
                applied = await apply(connection, session, fact, self.rules, now=self.clock.now(), ids=self.ids)
            if not applied.lost:
                return applied
        message = "a session changed under every try to apply Stripe's word; it will be asked again"
        raise RuntimeError(message)

    async def _adopt(self, connection: AsyncConnection, fact: StripeSession) -> Session | None:
        """A session that carries our metadata but has no row here: one lost with a backup, or cut off inside create."""
        metadata = fact.metadata or {}
        session_id = metadata.get(METADATA_SESSION, "")
        if not session_id.startswith("ons_"):
            return None
        now = self.clock.now()
        known = await service.get(connection, session_id)
        if known is not None:
            if known.stripe_session_id is not None:
                return None
            await service.change(
                connection,
                known,
                now=now,
                stripe_session_id=fact.id,
                livemode=fact.livemode,
                payment_status="initialized",
                payment_updated_at=now,
            )
            return await service.get(connection, session_id)
        values = rebuilt(fact, self.rules, now)
        if values is None:
            return None
        log.warning("session.rebuilt", session=session_id)
        await service.put(connection, values)
        return await service.get(connection, session_id)


def rebuilt(fact: StripeSession, rules: SessionRules, now: datetime) -> dict[str, Any] | None:
    """The row of a session that only Stripe remembers, from its metadata; None where that is not whole."""
    metadata = fact.metadata or {}
    try:
        wallet = to_checksum(metadata[METADATA_WALLET])
        fee = int(metadata[METADATA_FEE])
        minor = parse_units(fact.source_amount or "0", 2)
    except (KeyError, ValueError):
        return None
    if not 0 <= fee < BASIS_POINTS:
        return None
    made = datetime.fromtimestamp(fact.created, UTC)
    return intent(
        rules,
        session_id=metadata[METADATA_SESSION],
        wallet=wallet,
        minor=minor,
        currency=fact.source_currency or "usd",
        fee_bps=fee,
        made=made,
        now=now,
    ) | {"stripe_session_id": fact.id, "payment_status": "initialized", "livemode": fact.livemode}
