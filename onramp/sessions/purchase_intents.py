"""Store the intent of a purchase durably before anything is requested from Stripe; a repeated Idempotency-Key returns the stored one."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.reads.cursor import HEAD
from kit.batching import GroupCommit
from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.bulk import insert_new_autocommit
from kit.db.database import Database
from kit.db.types import db_now
from kit.http.problems import Problem
from kit.ids import Ids
from onramp.deployment.service import OwnDeployment
from onramp.screening.gate import require_not_sanctioned
from onramp.screening.sanctions_list import Screening
from onramp.sessions import contacts, purchase_limits, stock
from onramp.sessions import service as sessions_service
from onramp.sessions.config import CREATE_LEASE_SECONDS, SessionConfig
from onramp.sessions.model import Session, from_inserted, intent_row
from onramp.sessions.moves import SessionMoved
from onramp.sessions.ownership import ownership_columns
from onramp.sessions.purchase_request import PurchaseRequest
from onramp.sessions.status import PaymentStatus
from onramp.sessions.table import sessions
from treasury.pause import service as pause_service

MAX_ATTEMPTS: Final = 3
LEASE_OWNER: Final = "create"
# In one query, because every purchase asks.
_PAUSED_AND_HEAD: Final = sa.select(pause_service.SALES_ARE_PAUSED, HEAD.scalar_subquery())


class PurchaseIntents:
    """Stores intents, those of concurrent requests in one transaction, and finds the session that a client's key created before."""

    def __init__(
        self,
        database: Database,
        config: SessionConfig,
        clock: Clock,
        ids: Ids,
        screening: Screening,
        ring: KeyRing,
        deployment: OwnDeployment,
    ) -> None:
        self._database = database
        self._config = config
        self._clock = clock
        self._ids = ids
        self._screening = screening
        self._ring = ring
        self._deployment = deployment
        self._group: GroupCommit[PurchaseRequest, Session | None] = GroupCommit(self._write)

    async def lease(self, request: PurchaseRequest) -> Session:
        """Return the session of this request, new or created before under its key, leased to the caller until Stripe has answered.

        Raises Problem: 403 `not_available`, 422 `wallet_limit`, 503 `paused`, `inventory_low` or `inventory_unknown`,
        409 `idempotency_key_reused` or `idempotency_in_progress`.
        """
        await require_not_sanctioned(self._database, self._screening, request.wallet, self._clock)
        if purchase_limits.limits(self._config):
            await self._require_within_limits(request)
        for _ in range(MAX_ATTEMPTS):
            session = await self._group.submit(request)
            if session is not None:
                return session
            async with self._database.write() as conn:
                earlier = await _by_key(conn, request)
                if earlier is not None:
                    return await _replay(conn, earlier, request)
                await pause_service.require_sales(conn)
                await stock.require(conn, self._config, request.source, self._clock.now())
            # Whatever refused the intent a moment ago has changed, such as new stock.
        raise in_progress()

    async def _require_within_limits(self, request: PurchaseRequest) -> None:
        """Raise Problem 422 `wallet_limit` if a new purchase exceeds a limit. A repeated Idempotency-Key is not checked again."""
        async with self._database.read() as conn:
            if await _by_key(conn, request) is None:
                await purchase_limits.require(conn, self._config, request.wallet, request.source, self._clock.now())

    async def _write(self, requests: Sequence[PurchaseRequest]) -> Sequence[Session | None]:
        """Store an intent for each request; None if its key exists already or the stock does not cover it.

        None for every request while sales are paused or the stock is unknown.
        """
        now = self._clock.now()
        owner = ownership_columns(await self._deployment.get(), self._config)
        async with self._database.read() as conn:
            is_paused, head = (await conn.execute(_PAUSED_AND_HEAD, {"chain": str(self._config.chain_id)})).one()
            if is_paused:
                return [None] * len(requests)
            current_stock = await stock.stock(conn, self._config, now)
        rows = [
            self._row(request, head or 0, now) | owner if current_stock.covers(request.source) else None
            for request in requests
        ]
        new_rows = [row for row in rows if row is not None]
        stored = set(await insert_new_autocommit(self._database, sessions, new_rows)) if new_rows else set()
        self._database.committed(SessionMoved("payment", PaymentStatus.CREATED) for _ in stored)
        # Stored before Stripe is asked, so that an interrupted create can be finished with the same parameters.
        emails = [
            (row["id"], request.email)
            for row, request in zip(rows, requests, strict=True)
            if row is not None and row["id"] in stored and request.email is not None
        ]
        if emails:
            async with self._database.write() as conn:
                await contacts.store(conn, self._ring, emails, now)
        return [from_inserted(row) if row is not None and row["id"] in stored else None for row in rows]

    def _row(self, request: PurchaseRequest, head: int, now: datetime) -> dict[str, Any]:
        values = intent_row(
            self._config,
            session_id=self._ids.new("ons_"),
            wallet=request.wallet,
            source=request.source,
            fee_bps=self._config.fee_bps,
            created_at=now,
            now=now,
        )
        return values | {
            "from_block": head,
            "idempotency_hash": request.key_hash,
            "body_hash": request.body_hash,
            "has_email": request.email is not None,
            "reference": request.reference,
            "return_url": request.return_url,
            "locale": request.locale,
            "lease_owner": LEASE_OWNER,
            "lease_until": now + timedelta(seconds=CREATE_LEASE_SECONDS),
        }


async def _by_key(conn: AsyncConnection, request: PurchaseRequest) -> Session | None:
    if not request.key_hash:
        return None
    return await sessions_service.by_client_key(conn, request.wallet, request.key_hash)


async def _replay(conn: AsyncConnection, session: Session, request: PurchaseRequest) -> Session:
    if session.body_hash != request.body_hash:
        raise Problem(
            409,
            "idempotency_key_reused",
            "This Idempotency-Key was used with another body. Use a new key for a new purchase.",
        )
    if session.stripe_session_id is not None or session.refusal_code is not None:
        return session
    await pause_service.require_sales(conn)
    leased = await conn.execute(
        sa.update(sessions)
        .where(
            sessions.c.id == session.id,
            sessions.c.stripe_session_id.is_(None),
            sa.or_(sessions.c.lease_until.is_(None), sessions.c.lease_until < db_now()),
        )
        .values(lease_owner=LEASE_OWNER, lease_until=db_now(CREATE_LEASE_SECONDS))
    )
    if leased.rowcount != 1:
        raise in_progress()
    return session


def in_progress() -> Problem:
    """Return Problem 409: an earlier request with this key is still being served."""
    return Problem(
        409,
        "idempotency_in_progress",
        "A request with this Idempotency-Key is still being served. Try again in a moment.",
        headers={"Retry-After": "1"},
    )
