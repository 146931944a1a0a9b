"""The verbs of answers, each in the caller's open transaction; refusals are Problems with stable codes."""

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.cas import compare_and_set
from kit.db.inserts import insert_or_ignore
from kit.http.problems import Problem, not_found
from kit.persons import same_person
from treasury.incidents import unmatched as foreign
from treasury.incidents.resolutions import Answer, answers, to_answer
from treasury.ledger import service as ledger_service
from treasury.ledger.states import Account

FOREIGN: Final = "fgn_"
"""Begins the id of a transaction that no row explains."""


async def answer(
    conn: AsyncConnection,
    chain_id: int,
    wallet: str,
    subject: str,
    *,
    by: str,
    person: str,
    note: str,
    now: datetime,
) -> Answer:
    """Say where coins went (`subject` an asset) or whose a transaction is (its id). The second person's word counts.

    Then what was gone is written off, or the transaction is taken on, and signing may go on. Where more is gone than the
    first person spoke of, theirs is no word on it, and this is the first again. Raises Problem.
    """
    amount = await _unexplained(conn, chain_id, wallet, subject)
    key = f"{chain_id}:{wallet}:{subject}"
    asked = {"subject": subject, "status": "asked", "amount": amount, "asked_by": by, "asked_person": person}
    fresh: dict[str, Any] = {**asked, "answered_by": None, "note": note, "at": now}
    if await insert_or_ignore(conn, answers, [{"id": key, **fresh}], ["id"]):
        return await _require(conn, key)
    before = await _require(conn, key)
    if before.status == "answered" or before.amount != amount:
        await compare_and_set(conn, answers, key, [before.status], **fresh)
        return await _require(conn, key)
    if same_person(before.asked_person, person):
        raise Problem(409, "self_approval", "You answered this already; another person has to say so, too.")
    if not await compare_and_set(conn, answers, key, ["asked"], status="answered", answered_by=by, at=now):
        raise Problem(409, "not_possible", f"{subject} was answered by others a moment ago.")
    said = f"{before.note}; {note}" if note and note != before.note else before.note
    if subject.startswith(FOREIGN):
        await foreign.answer(conn, subject, by=by, note=said, now=now)
    else:
        await ledger_service.answer(conn, wallet, subject, amount, by=by, note=said, now=now)
    return await _require(conn, key)


async def _unexplained(conn: AsyncConnection, chain_id: int, wallet: str, subject: str) -> int:
    """What there is to answer: base units, 0 for a transaction. Raises Problem where there is nothing."""
    if subject.startswith(FOREIGN):
        row = await foreign.get(conn, chain_id, wallet, subject)
        if row is None:
            raise not_found("unexplained transaction")
        if row.answered_at is not None or row.payout_id is not None:
            raise Problem(409, "not_possible", f"{subject} is explained already; nothing was changed.")
        return 0
    gone = (await ledger_service.balances(conn, wallet, subject)).get(Account.SUSPENSE, 0)
    if gone <= 0:
        raise Problem(409, "not_possible", f"Nothing of {subject} is unexplained; nothing was changed.")
    return gone


async def _require(conn: AsyncConnection, key: str) -> Answer:
    return to_answer((await conn.execute(sa.select(answers).where(answers.c.id == key))).one())
