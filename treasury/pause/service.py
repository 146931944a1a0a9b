"""Pause and resume, each in the caller's open transaction. Refusals are Problems with stable codes."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.audit.actor import Actor
from kit.db.cas import compare_and_set
from kit.db.inserts import insert_or_ignore
from kit.http.problems import Problem
from kit.persons import same_person
from kit.state import Moved, decide
from treasury.core import history
from treasury.core.history import HistoryEntry
from treasury.pause.model import SCOPES, STOP_SALES, Pauses, Scope
from treasury.pause.states import MOVES, PauseFact, PauseStatus
from treasury.pause.table import pauses, to_pause

# Built once: every purchase reads it.
_PAUSED: Final = sa.select(pauses).where(pauses.c.status == PauseStatus.PAUSED)
SALES_ARE_PAUSED: Final = sa.exists().where(pauses.c.status == PauseStatus.PAUSED, pauses.c.id.in_(STOP_SALES))
"""The condition that sales are paused, to be selected together with other values."""


def subject_of(scope: Scope) -> str:
    """Return the subject under which the history and the audit log record a scope."""
    return f"pause_{scope}"


async def current(conn: AsyncConnection) -> Pauses:
    """Return the pauses that are in force now."""
    return Pauses(tuple(to_pause(row) for row in (await conn.execute(_PAUSED)).fetchall()))


async def pause(conn: AsyncConnection, scopes: Collection[Scope], actor: Actor, *, note: str, now: datetime) -> Pauses:
    """Pause these scopes at once. A scope that is paused already keeps its pause: the person who paused it first may not resume it."""
    for scope in SCOPES:
        if scope in scopes:
            await _pause(conn, scope, actor, note=note, now=now)
    return await current(conn)


async def resume(conn: AsyncConnection, scopes: Collection[Scope], actor: Actor, *, note: str, now: datetime) -> Pauses:
    """Resume these scopes. Raises Problem `self_approval`, and resumes none, if this person paused one of them."""
    stopped = [pause for pause in (await current(conn)).ordered if pause.scope in scopes]
    for pause in stopped:
        if same_person(pause.person, actor.person):
            detail = f"You paused {pause.scope} yourself; another approver has to resume it. Nothing was changed."
            raise Problem(409, "self_approval", detail)
    for pause in stopped:
        values = _values(PauseFact.RESUMED, PauseStatus.PAUSED, actor, note=note, now=now)
        unchanged = sa.and_(pauses.c.id == pause.scope, pauses.c.person == pause.person, pauses.c.at == pause.at)
        if not await compare_and_set(conn, pauses, unchanged, {PauseStatus.PAUSED}, **values):
            detail = f"Someone else has just changed the pause of {pause.scope}. Nothing was changed; reload it."
            raise Problem(409, "not_possible", detail)
        await _record(conn, pause.scope, PauseFact.RESUMED, PauseStatus.PAUSED, by=actor.id, note=note, now=now)
    return await current(conn)


async def require_sales(conn: AsyncConnection) -> None:
    """Raise Problem 503 `paused` while nothing may be sold."""
    if (await current(conn)).sales:
        detail = "Sales are paused. Nothing was charged; try again later."
        raise Problem(503, "paused", detail, headers={"Retry-After": "60"})


async def require(conn: AsyncConnection, scope: Scope) -> None:
    """Raise Problem 409 `paused` if a command cannot be carried out because `scope` is paused."""
    if (await current(conn)).stops(scope):
        detail = f"{scope.capitalize()} are paused, so nothing was done. Another approver resumes them first."
        raise Problem(409, "paused", detail)


async def history_of_pauses(conn: AsyncConnection) -> list[tuple[Scope, HistoryEntry]]:
    """Return every pause and resumption with its scope, the oldest first."""
    entries = [(scope, entry) for scope in SCOPES for entry in await history.of(conn, subject_of(scope))]
    return sorted(entries, key=lambda item: item[1].at)


class StoredGate:
    """Reads the stored pauses on the caller's connection, so that a pause applies at once. Implements `ports.Gate`."""

    async def payouts_allowed(self, conn: AsyncConnection) -> bool:
        """Return whether payouts may be signed."""
        return not (await current(conn)).payouts

    async def sweeps_allowed(self, conn: AsyncConnection) -> bool:
        """Return whether sweeps may be signed. An approved panic needs no permission."""
        return not (await current(conn)).sweeps


def _values(fact: PauseFact, before: PauseStatus, actor: Actor, *, note: str, now: datetime) -> dict[str, Any]:
    decision = decide(MOVES, before, fact)
    assert isinstance(decision, Moved), "the callers compare the status first"
    return {"status": decision.to, "actor": actor.id, "person": actor.person, "note": note, "at": now}


async def _pause(conn: AsyncConnection, scope: Scope, actor: Actor, *, note: str, now: datetime) -> None:
    values = _values(PauseFact.PAUSED, PauseStatus.RUNNING, actor, note=note, now=now)
    inserted = bool(await insert_or_ignore(conn, pauses, [{"id": scope, **values}], ["id"]))
    if inserted or await compare_and_set(conn, pauses, scope, {PauseStatus.RUNNING}, **values):
        await _record(conn, scope, PauseFact.PAUSED, PauseStatus.RUNNING, by=actor.id, note=note, now=now)


async def _record(
    conn: AsyncConnection, scope: Scope, fact: PauseFact, before: PauseStatus, *, by: str, note: str, now: datetime
) -> None:
    subject, after = subject_of(scope), PauseStatus.PAUSED if fact is PauseFact.PAUSED else PauseStatus.RUNNING
    await history.record(conn, subject, at=now, from_status=before, to_status=after, by=by, note=note)
    changed = {"status": after, "note": note} if note else {"status": after}
    await audit_service.record(conn, by, f"treasury.{fact}", subject, {"status": before}, changed, at=now)
