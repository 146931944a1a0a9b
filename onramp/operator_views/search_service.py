"""Find things by a whole id, wallet, transaction hash, reference or e-mail address. Every look-up uses an index.

An e-mail address is looked up by its keyed digest: the address itself is stored encrypted, and is in no result.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.alarms import service as alarms_service
from kit.crypto.keyring import KeyRing
from kit.http.problems import Problem
from kit.money import format_units
from onramp.auth.api_keys import service as api_keys_service
from onramp.operator_views.schemas.search import HitKind
from onramp.sessions import contacts
from onramp.sessions import service as sessions_service
from onramp.sessions.model import Session
from onramp.webhooks import service as webhooks_service
from treasury.core.assets import MUSD_DECIMALS, USDC_DECIMALS
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.policy import service as policy_service
from treasury.settlements import queries as settlement_queries
from treasury.settlements.model import Settlement
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep
from treasury.transactions import queries as transaction_queries
from treasury.transactions.model import Transaction

MAX_HITS: Final = 50
"""The most hits of each kind."""
_HASH: Final = re.compile("0x[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was found."""

    kind: HitKind
    id: str
    title: str
    status: str
    at: datetime


async def search(conn: AsyncConnection, ring: KeyRing, query: str) -> list[Hit]:
    """Return what a query finds, purchases first. `query` is compared as a whole; nothing is found by a part of it."""
    if "@" in query and not any(letter.isspace() for letter in query):
        ids = await contacts.sessions_of_email(conn, ring, query, MAX_HITS)
        rows = await sessions_service.get_many(conn, ids)
        return [_purchase(rows[session_id]) for session_id in ids if session_id in rows]
    prefix, separator, _ = query.partition("_")
    look_up = _BY_PREFIX.get(f"{prefix}{separator}")
    if look_up is not None:
        try:
            hit = await look_up(conn, query)
        except Problem:  # the packages refuse an unknown id as the routes do
            hit = None
        if hit is not None:
            return [hit]
    found = [_purchase(session) for session in await sessions_service.find(conn, query)]
    if _HASH.fullmatch(query.lower()):
        found += await _by_hash(conn, query.lower(), {hit.id for hit in found})
    return found


async def _by_hash(conn: AsyncConnection, text: str, known: set[str]) -> list[Hit]:
    """Return what a transaction's hash, or a payment's reference on chain, belongs to; without the purchases in `known` (ids)."""
    transaction = await transaction_queries.by_hash(conn, text)
    operations = () if transaction is None else transaction.operation_ids
    payouts = await payouts_service.get_all(conn, operations) if operations else []
    sweeps = [await sweeps_service.get(conn, operation) for operation in operations if operation.startswith("swp_")]
    by_reference = await payouts_service.by_reference(conn, text)
    payouts += [] if by_reference is None else [by_reference]
    sweeps.append(await sweeps_service.by_reference(conn, text))
    purchases = await sessions_service.get_many(conn, {row.session_id for row in payouts} - known)
    return [
        *map(_purchase, list(purchases.values())[:MAX_HITS]),
        *map(_payout, payouts[:MAX_HITS]),
        *(_sweep(row) for row in sweeps if row is not None),
        *(() if transaction is None else (_transaction(transaction),)),
        *map(_settlement, await settlement_queries.of_transaction(conn, text)),
    ]


def _purchase(row: Session) -> Hit:
    title = f"{row.source.text} {row.source_currency.upper()} for {row.wallet_address}"
    return Hit("purchase", row.id, title, row.status, row.created_at)


def _payout(row: Payout) -> Hit:
    title = f"{format_units(row.amount, MUSD_DECIMALS)} {row.asset} to {row.to}"
    return Hit("payout", row.id, title, row.status, row.created_at)


def _sweep(row: Sweep) -> Hit:
    title = f"{format_units(row.amount, row.decimals)} {row.asset} to {row.to}"
    return Hit("sweep", row.id, title, row.status, row.created_at)


def _transaction(row: Transaction) -> Hit:
    return Hit("transaction", row.id, f"nonce {row.nonce} of {row.wallet}", row.status, row.created_at)


def _settlement(row: Settlement) -> Hit:
    title = f"{format_units(row.amount, USDC_DECIMALS)} USDC of {row.tx_hash}"
    return Hit("settlement", row.id, title, row.status, row.created_at)


async def _find_payout(conn: AsyncConnection, text: str) -> Hit | None:
    row = await payouts_service.get(conn, text)
    return None if row is None else _payout(row)


async def _find_sweep(conn: AsyncConnection, text: str) -> Hit | None:
    row = await sweeps_service.get(conn, text)
    return None if row is None else _sweep(row)


async def _find_transaction(conn: AsyncConnection, text: str) -> Hit | None:
    row = await transaction_queries.get(conn, text)
    return None if row is None else _transaction(row)


async def _find_event(conn: AsyncConnection, text: str) -> Hit | None:
    row = await webhooks_service.get(conn, text)
    return None if row is None else Hit("event", row.id, row.type, row.state, row.received_at)


async def _find_key(conn: AsyncConnection, text: str) -> Hit | None:
    row = await api_keys_service.get(conn, text)
    status = "active" if row.revoked_at is None else "revoked"
    return Hit("key", row.id, f"{row.name}: {row.role} of {row.person}", status, row.created_at)


async def _find_alarm(conn: AsyncConnection, text: str) -> Hit | None:
    row = await alarms_service.get(conn, text)
    return (
        None
        if row is None
        else Hit("alarm", row.id, row.name, "active" if row.ended_at is None else "ended", row.raised_at)
    )


async def _find_settlement(conn: AsyncConnection, text: str) -> Hit | None:
    return _settlement(await settlement_queries.require(conn, text))


async def _find_version(conn: AsyncConnection, text: str) -> Hit | None:
    row = await policy_service.require(conn, text)
    return Hit("policy", row.id, f"version {row.version}", row.status, row.created_at)


_BY_PREFIX: Final[Mapping[str, Callable[[AsyncConnection, str], Awaitable[Hit | None]]]] = {
    "pay_": _find_payout,
    "swp_": _find_sweep,
    "txn_": _find_transaction,
    "evt_": _find_event,
    "key_": _find_key,
    "alm_": _find_alarm,
    "stl_": _find_settlement,
    "pol_": _find_version,
}
"""The look-up of each kind of id, by the beginning of the id. Ids of purchases, ours and Stripe's, are found like wallets and hashes."""
