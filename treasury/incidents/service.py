"""Resolve an incident (missing coins, an unmatched transaction) with two persons, in the caller's open transaction."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.actor import Actor
from kit.db.cas import compare_and_set
from kit.db.inserts import insert_or_ignore
from kit.http.problems import Problem, not_found
from kit.persons import same_person
from kit.state import Refused, decide
from treasury.core.hot_wallets import HotWallet
from treasury.incidents import unmatched
from treasury.incidents.model import Resolution
from treasury.incidents.resolutions import resolutions, to_resolution
from treasury.incidents.states import MOVES, ResolutionFact, ResolutionStatus
from treasury.ledger import service as ledger_service
from treasury.ledger.states import Account


async def resolve(
    conn: AsyncConnection, wallet: HotWallet, subject: str, actor: Actor, *, note: str, now: datetime
) -> Resolution:
    """Record an explanation for missing coins (`subject` is an asset) or for an unmatched transaction (`subject` is its id).

    It takes effect once a second person confirms it: the missing amount is written off, or the transaction is resolved, and signing goes
    on. If more has gone missing since the first person explained it, that explanation no longer covers it and this one counts as the
    first. Raises Problem.
    """
    amount = await _missing(conn, wallet, subject)
    key = f"{wallet.key}:{subject}"
    proposal: dict[str, Any] = {
        "subject": subject,
        "status": ResolutionStatus.PROPOSED,
        "amount": amount,
        "asked_by": actor.id,
        "asked_person": actor.person,
        "answered_by": None,
        "note": note,
        "at": now,
    }
    if await insert_or_ignore(conn, resolutions, [{"id": key, **proposal}], ["id"]):
        return await _require(conn, key)
    before = await _require(conn, key)
    confirmation = decide(MOVES, before.status, ResolutionFact.CONFIRMED)
    if isinstance(confirmation, Refused) or before.amount != amount:
        await compare_and_set(conn, resolutions, key, [before.status], **proposal)
        return await _require(conn, key)
    if same_person(before.asked_person, actor.person):
        raise Problem(409, "self_approval", "You explained this already; a second person has to confirm it.")
    confirmed: dict[str, Any] = {"status": confirmation.to, "answered_by": actor.id, "at": now}
    if not await compare_and_set(conn, resolutions, key, [before.status], **confirmed):
        raise Problem(409, "not_possible", f"Someone else has just resolved {subject}. Nothing was changed.")
    notes = f"{before.note}; {note}" if note and note != before.note else before.note
    if subject.startswith(unmatched.ID_PREFIX):
        await unmatched.resolve(conn, subject, by=actor.id, note=notes, now=now)
    else:
        await ledger_service.write_off(conn, wallet.address, subject, amount, by=actor.id, note=notes, now=now)
    return await _require(conn, key)


async def proposed(conn: AsyncConnection, wallet: HotWallet) -> dict[str, Resolution]:
    """Return by subject the explanations of this wallet's incidents that wait for a second person."""
    c = resolutions.c
    of_wallet = c.id.startswith(f"{wallet.key}:", autoescape=True)
    rows = await conn.execute(sa.select(resolutions).where(of_wallet, c.status == ResolutionStatus.PROPOSED))
    return {row.subject: to_resolution(row) for row in rows}


async def _missing(conn: AsyncConnection, wallet: HotWallet, subject: str) -> int:
    """Return the base units that are missing, 0 for a transaction. Raises Problem if there is nothing to resolve."""
    if subject.startswith(unmatched.ID_PREFIX):
        row = await unmatched.get(conn, wallet, subject)
        if row is None:
            raise not_found("unmatched transaction")
        if row.answered_at is not None or row.payout_id is not None:
            raise Problem(409, "not_possible", f"{subject} is explained already; nothing was changed.")
        return 0
    missing = (await ledger_service.balances(conn, wallet.address, subject)).get(Account.SUSPENSE, 0)
    if missing <= 0:
        raise Problem(409, "not_possible", f"No {subject} is missing; nothing was changed.")
    return missing


async def _require(conn: AsyncConnection, key: str) -> Resolution:
    return to_resolution((await conn.execute(sa.select(resolutions).where(resolutions.c.id == key))).one())
