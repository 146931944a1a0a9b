"""The first thing a purchase leaves behind: its intent, durable before Stripe hears of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.reads.cursor import known_head
from kit.batching import GroupCommit
from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.bulk import insert_new_alone
from kit.db.database import Database
from kit.db.types import db_now
from kit.http.problems import Problem
from kit.ids import Ids
from onramp.deployment.service import OwnDeployment
from onramp.screening.gate import require_not_sanctioned
from onramp.screening.sanctions_list import Screening
from onramp.sessions import contacts, purchase_limits
from onramp.sessions import service as sessions_service
from onramp.sessions import stock as inventory
from onramp.sessions.config import CREATE_LEASE_SECONDS, SessionConfig
from onramp.sessions.model import Session, fresh, intent
from onramp.sessions.ownership import marks
from onramp.sessions.purchase_request import PurchaseRequest
from onramp.sessions.table import sessions
from treasury.pause import service as pause_service

TRIES: Final = 3


class PurchaseIntents:
    """Writes intents, those of buyers who come together in one transaction; finds the one that a client's key made before."""

    def __init__(
        self,
        database: Database,
        rules: SessionConfig,
        clock: Clock,
        ids: Ids,
        screening: Screening,
        ring: KeyRing,
        deployment: OwnDeployment,
    ) -> None:
        """What an intent is made of."""
        self._database = database
        self._rules = rules
        self._clock = clock
        self._ids = ids
        self._screening = screening
        self._ring = ring
        self._deployment = deployment
        self._group: GroupCommit[PurchaseRequest, Session | None] = GroupCommit(self._write)

    async def of(self, order: PurchaseRequest) -> Session:
        """The session of this order, new or made before under its key, leased to the caller while Stripe has not answered.

        Raises Problem: 403 `not_available`, 422 `wallet_limit`, 503 `paused`, `inventory_low` or `inventory_unknown`, 409 `idempotency_key_reused` or `idempotency_in_progress`.
        """
        await require_not_sanctioned(self._database, self._screening, order.wallet, self._clock)
        if purchase_limits.limits(self._rules):
            await self._require_allowance(order)
        for _ in range(TRIES):
            made = await self._group.submit(order)
            if made is not None:
                return made
            async with self._database.write() as conn:
                known = (
                    await sessions_service.by_client_key(conn, order.wallet, order.key_hash) if order.key_hash else None
                )
                if known is not None:
                    return await _replayed(conn, known, order)
                await pause_service.require_sales(conn)
                await inventory.require(conn, self._rules, order.minor, order.currency, self._clock.now())
            # What stood in the way a moment ago is gone: stock came in.
        raise in_progress()

    async def _require_allowance(self, order: PurchaseRequest) -> None:
        """A purchase that was begun already is only told again, whatever was bought since."""
        async with self._database.read() as conn:
            if order.key_hash and await sessions_service.by_client_key(conn, order.wallet, order.key_hash) is not None:
                return
            await purchase_limits.require(conn, self._rules, order.wallet, order.minor, self._clock.now())

    async def _write(self, orders: Sequence[PurchaseRequest]) -> Sequence[Session | None]:
        """None for an order whose key is known already or that the stock does not cover; for all while sales are paused or the stock is unknown."""
        now = self._clock.now()
        sold_by = marks(await self._deployment.get(), self._rules)
        async with self._database.read() as conn:
            if (await pause_service.current(conn)).sales:
                return [None] * len(orders)
            stock = await inventory.stock(conn, self._rules, now)
            head = await known_head(conn, self._rules.chain_id)
        rows = [
            self._row(order, head, now) | sold_by if stock.enough(order.minor, order.currency) else None
            for order in orders
        ]
        wanted = [row for row in rows if row is not None]
        stored = set(await insert_new_alone(self._database, sessions, wanted)) if wanted else set()
        # Before Stripe is asked, so that a create that breaks off can be finished to the letter.
        given = [
            (row["id"], order.email)
            for row, order in zip(rows, orders, strict=True)
            if row is not None and row["id"] in stored and order.email is not None
        ]
        if given:
            async with self._database.write() as conn:
                await contacts.store(conn, self._ring, given, now)
        return [fresh(row) if row is not None and row["id"] in stored else None for row in rows]

    def _row(self, order: PurchaseRequest, head: int, now: datetime) -> dict[str, Any]:
        values = intent(
            self._rules,
            session_id=self._ids.new("ons_"),
            wallet=order.wallet,
            minor=order.minor,
            currency=order.currency,
            fee_bps=self._rules.fee_bps,
            made=now,
            now=now,
        )
        return values | {
            "from_block": head,
            "idempotency_hash": order.key_hash,
            "body_hash": order.body_hash,
            "has_email": order.email is not None,
            "lease_owner": "create",
            "lease_until": now + timedelta(seconds=CREATE_LEASE_SECONDS),
        }


async def _replayed(conn: AsyncConnection, known: Session, order: PurchaseRequest) -> Session:
    if known.body_hash != order.body_hash:
        raise Problem(
            409,
            "idempotency_key_reused",
            "This Idempotency-Key was used with another body. Use a new key for a new purchase.",
        )
    if known.stripe_session_id is not None or known.refusal_code is not None:
        return known
    await pause_service.require_sales(conn)
    taken = await conn.execute(
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


def in_progress() -> Problem:
    """A first request with this key is still on its way."""
    return Problem(
        409,
        "idempotency_in_progress",
        "A request with this Idempotency-Key is still being served. Try again in a moment.",
        headers={"Retry-After": "1"},
    )
