"""The verbs of the policy's versions, each in the caller's open transaction.

The file and the environment are a proposal. What is stricter applies at once. What loosens anything, or names another
token or cold wallet, waits for two persons, and in production for a day after the second.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.cas import compare_and_set
from kit.db.inserts import insert_or_ignore
from kit.http.problems import Problem, not_found
from kit.ids import Ids
from kit.persons import same_person
from treasury.core import history as lines
from treasury.policy.serialization import digest, dump
from treasury.policy.states import Loosening, State, Terms, compare
from treasury.policy.table import Version, policies, to_version

FILE: Final = "file"
"""Who proposes at a start: no person."""
WAIT: Final = timedelta(hours=24)
"""In production, between the second person's word and the moment it counts."""
_OPEN = (State.PROPOSED, State.APPROVED)
_FRESH: Final = timedelta(hours=72)
"""An open proposal older than this is no longer what somebody wants now."""


def scope_of(chain_id: int, wallet: str) -> str:
    """Whose policy it is."""
    return f"{chain_id}:{wallet}"


async def active(conn: AsyncConnection, scope: str) -> Version | None:
    """The version that counts; None before the first start."""
    return await _one(conn, policies.c.active_key == scope)


async def require_active(conn: AsyncConnection, scope: str) -> Version:
    """The version that counts. Raises LookupError before the first start: nothing may leave without a policy."""
    found = await active(conn, scope)
    if found is None:
        message = "no policy is active: start the service once with the policy file in place"
        raise LookupError(message)
    return found


async def propose(
    conn: AsyncConnection,
    terms: Terms,
    *,
    scope: str,
    now: datetime,
    ids: Ids,
    by: str = FILE,
    person: str | None = None,
    production: bool = False,
) -> Version:
    """Propose terms; the version that came of it, which is active where nothing is loosened.

    The very first terms are active at once. The same terms again answer the version there is: and where they wait for a
    second person, another `person` than the first is that one. A start (`person` None) adds nobody.
    """
    current = await active(conn, scope)
    if current is None:
        return await _insert(conn, terms, scope, State.ACTIVE, (), by=by, person=person, now=now, ids=ids)
    verdict = compare(current.terms, terms)
    loosens = verdict.rules if isinstance(verdict, Loosening) else ()
    waiting = await _open(conn, scope)
    if digest(terms) == current.digest:
        if person is None:
            return current
        for one in waiting:
            await _close(conn, one, State.SUPERSEDED, by=by, now=now, note="the active terms were asked for again")
        return current
    if loosens:
        for one in waiting:
            if one.digest == digest(terms) and one.loosens == loosens and not _stale(one, now):
                if person is None or one.status is State.APPROVED:
                    return one
                return await approve(conn, one.id, by=by, person=person, now=now, production=production, again=True)
    for one in waiting:
        await _close(conn, one, State.SUPERSEDED, by=by, now=now, note="other terms were proposed")
    if loosens:
        return await _insert(conn, terms, scope, State.PROPOSED, loosens, by=by, person=person, now=now, ids=ids)
    await _retire(conn, current, by=by, now=now)
    return await _insert(conn, terms, scope, State.ACTIVE, (), by=by, person=person, now=now, ids=ids)


async def approve(
    conn: AsyncConnection,
    version_id: str,
    *,
    by: str,
    person: str,
    now: datetime,
    production: bool,
    note: str = "",
    again: bool = False,
) -> Version:
    """A person wants these terms; the second one makes them count, at once or after the wait. Raises Problem.

    A proposal that is too old, or was made beside another policy, is closed: the answer is `superseded`, and the caller says
    no once that is written. `again`: the first person asked for the same once more, which is no approval and no offence.
    """
    row = await require(conn, version_id)
    if row.status is not State.PROPOSED:
        raise Problem(
            409, "not_possible", f"Version {row.version} is {row.status}; only a proposed one can be approved."
        )
    current = await require_active(conn, row.scope)
    verdict = compare(current.terms, row.terms)
    if (isinstance(verdict, Loosening) and verdict.rules != row.loosens) or _stale(row, now):
        await _close(conn, row, State.SUPERSEDED, by=by, now=now, note="it is not what was proposed any more")
        return await require(conn, version_id)
    if row.proposed_person is None:
        await _set(conn, row, State.PROPOSED, by=by, now=now, note=note, proposed_by=by, proposed_person=person)
        return await require(conn, version_id)
    if same_person(row.proposed_person, person):
        if again:
            return row
        raise Problem(409, "self_approval", "Whoever proposed a policy cannot approve it; ask another approver.")
    applies_at = now + WAIT if production else now
    values = {"approved_by": by, "approved_person": person, "applies_at": applies_at}
    await _set(conn, row, State.APPROVED, by=by, now=now, note=note, **values)
    await apply_due(conn, row.scope, now=now)
    return await require(conn, version_id)


async def reject(conn: AsyncConnection, version_id: str, *, by: str, now: datetime, note: str = "") -> Version:
    """One person is enough to say no, until it is active. Raises Problem."""
    row = await require(conn, version_id)
    if row.status not in _OPEN:
        raise Problem(409, "not_possible", f"Version {row.version} is {row.status} and cannot be rejected any more.")
    await _close(conn, row, State.REJECTED, by=by, now=now, note=note)
    return await require(conn, version_id)


async def apply_due(conn: AsyncConnection, scope: str, *, now: datetime) -> Version | None:
    """Make an approved version count once its time has come; that version, or None."""
    due = [one for one in await _open(conn, scope) if one.applies_at is not None and one.applies_at <= now]
    if not due:
        return None
    current = await require_active(conn, scope)
    await _retire(conn, current, by=due[0].approved_by or FILE, now=now)
    await _set(conn, due[0], State.ACTIVE, by=due[0].approved_by or FILE, now=now, note="applied", active_key=scope)
    return await require(conn, due[0].id)


async def history(conn: AsyncConnection, scope: str) -> list[Version]:
    """The fifty newest versions, the newest first."""
    query = sa.select(policies).where(policies.c.scope == scope).order_by(policies.c.version.desc()).limit(50)
    return [to_version(row) for row in (await conn.execute(query)).fetchall()]


async def require(conn: AsyncConnection, version_id: str) -> Version:
    """One version. Raises Problem `not_found`."""
    found = await _one(conn, policies.c.id == version_id)
    if found is None:
        raise not_found("policy version")
    return found


def _stale(row: Version, now: datetime) -> bool:
    """Too old, and no second person wanted it in time."""
    return row.status is State.PROPOSED and row.created_at + _FRESH <= now


async def _insert(
    conn: AsyncConnection,
    terms: Terms,
    scope: str,
    state: State,
    loosens: tuple[str, ...],
    *,
    by: str,
    person: str | None,
    now: datetime,
    ids: Ids,
) -> Version:
    newest = (await conn.execute(sa.select(sa.func.max(policies.c.version)).where(policies.c.scope == scope))).scalar()
    row = {
        "id": ids.new("pol_"),
        "scope": scope,
        "version": (newest or 0) + 1,
        "status": state,
        "terms": dump(terms),
        "digest": digest(terms),
        "loosens": ",".join(loosens),
        "active_key": scope if state is State.ACTIVE else None,
        "proposed_by": by,
        "proposed_person": person,
        "created_at": now,
        "updated_at": now,
    }
    if not await insert_or_ignore(conn, policies, [row]):
        # Another process started with the same file in this moment; on Postgres its row is visible now.
        raise Problem(409, "not_possible", "The policy is being changed by another process; try again.")
    await lines.record(conn, str(row["id"]), at=now, from_status=None, to_status=state, by=by, note=str(row["loosens"]))
    return await require(conn, str(row["id"]))


async def _retire(conn: AsyncConnection, row: Version, *, by: str, now: datetime) -> None:
    await _set(conn, row, State.SUPERSEDED, by=by, now=now, note="another version is active", active_key=None)


async def _close(conn: AsyncConnection, row: Version, state: State, *, by: str, now: datetime, note: str) -> None:
    await _set(conn, row, state, by=by, now=now, note=note, applies_at=None)


async def _set(
    conn: AsyncConnection, row: Version, state: State, *, by: str, now: datetime, note: str, **values: Any
) -> None:
    if not await compare_and_set(conn, policies, row.id, [row.status], status=state, updated_at=now, **values):
        raise Problem(409, "not_possible", f"Version {row.version} was changed by another in this moment; look again.")
    await lines.record(conn, row.id, at=now, from_status=row.status, to_status=state, by=by, note=note)


async def _open(conn: AsyncConnection, scope: str) -> list[Version]:
    query = sa.select(policies).where(policies.c.scope == scope, policies.c.status.in_(list(_OPEN)))
    return [to_version(row) for row in (await conn.execute(query.order_by(policies.c.version))).fetchall()]


async def _one(conn: AsyncConnection, condition: sa.ColumnElement[bool]) -> Version | None:
    row = (await conn.execute(sa.select(policies).where(condition))).first()
    return None if row is None else to_version(row)
