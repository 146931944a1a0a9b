"""The verbs of pausing, each in the caller's open transaction. Refusals raise Problem with the interface's code."""

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
from treasury.core import history
from treasury.core.history import HistoryEntry
from treasury.pause.table import SCOPES, Pauses, Scope, pauses, to_pause

PAUSED: Final = "paused"
RUNNING: Final = "running"
# Written once: each purchase asks.
_PAUSED: Final = sa.select(pauses).where(pauses.c.status == PAUSED)


def subject_of(scope: Scope) -> str:
    """Under which name history and audit trail keep what happened to a scope."""
    return f"pause_{scope}"


async def current(conn: AsyncConnection) -> Pauses:
    """What is stopped now."""
    return Pauses(tuple(to_pause(row) for row in (await conn.execute(_PAUSED)).fetchall()))


async def pause(conn: AsyncConnection, scopes: Collection[Scope], actor: Actor, *, note: str, now: datetime) -> Pauses:
    """Stop these, at once. What is stopped already stays as it is: whoever stopped it first may not let it go."""
    for scope in SCOPES:
        if scope in scopes:
            await _pause(conn, scope, actor, note=note, now=now)
    return await current(conn)


async def resume(conn: AsyncConnection, scopes: Collection[Scope], actor: Actor, *, note: str, now: datetime) -> Pauses:
    """Let these go again. Raises Problem `self_approval` where this person stopped one of them; then none is let go."""
    stopped = [one for one in (await current(conn)).asked if one.scope in scopes]
    for one in stopped:
        if same_person(one.person, actor.person):
            detail = f"You paused {one.scope} yourself; another approver has to resume it. Nothing was changed."
            raise Problem(409, "self_approval", detail)
    for one in stopped:
        values: dict[str, Any] = {"status": RUNNING, "actor": actor.id, "person": actor.person, "note": note, "at": now}
        same = sa.and_(pauses.c.id == one.scope, pauses.c.person == one.person, pauses.c.at == one.at)
        if not await compare_and_set(conn, pauses, same, {PAUSED}, **values):
            detail = f"The pause of {one.scope} was changed by somebody else just now. Nothing was changed; look again."
            raise Problem(409, "not_possible", detail)
        await _write_down(conn, one.scope, PAUSED, RUNNING, by=actor.id, note=note, now=now)
    return await current(conn)


async def require_sales(conn: AsyncConnection) -> None:
    """Raise Problem 503 `paused` while nothing may be sold."""
    if (await current(conn)).sales:
        detail = "Sales are paused just now. Nothing was charged; try again later."
        raise Problem(503, "paused", detail, headers={"Retry-After": "60"})


async def require(conn: AsyncConnection, scope: Scope) -> None:
    """Raise Problem 409 `paused` where an order cannot be given because `scope` is stopped."""
    if (await current(conn)).stops(scope):
        detail = f"{scope.capitalize()} are paused, so nothing was done. Another approver resumes them first."
        raise Problem(409, "paused", detail)


async def history_of_pauses(conn: AsyncConnection) -> list[tuple[Scope, HistoryEntry]]:
    """Every pause and resumption, the oldest first."""
    found = [(scope, line) for scope in SCOPES for line in await history.of(conn, subject_of(scope))]
    return sorted(found, key=lambda one: one[1].at)


class StoredGate:
    """What people have paused, as the signer asks: on the caller's connection, so that a pause holds at once."""

    async def payouts_allowed(self, conn: AsyncConnection) -> bool:
        """Whether payouts may be signed."""
        return not (await current(conn)).payouts

    async def sweeps_allowed(self, conn: AsyncConnection) -> bool:
        """Whether sweeps may be signed; an approved panic does not ask."""
        return not (await current(conn)).sweeps


async def _pause(conn: AsyncConnection, scope: Scope, actor: Actor, *, note: str, now: datetime) -> None:
    values: dict[str, Any] = {"status": PAUSED, "actor": actor.id, "person": actor.person, "note": note, "at": now}
    stopped = bool(await insert_or_ignore(conn, pauses, [{"id": scope, **values}], ["id"]))
    if stopped or await compare_and_set(conn, pauses, scope, {RUNNING}, **values):
        await _write_down(conn, scope, RUNNING, PAUSED, by=actor.id, note=note, now=now)


async def _write_down(
    conn: AsyncConnection, scope: Scope, before: str, after: str, *, by: str, note: str, now: datetime
) -> None:
    subject = subject_of(scope)
    await history.record(conn, subject, at=now, from_status=before, to_status=after, by=by, note=note)
    action = "pause" if after == PAUSED else "resume"
    changed = {"status": after, "note": note} if note else {"status": after}
    await audit_service.record(conn, by, f"treasury.{action}", subject, {"status": before}, changed, at=now)
