"""Operations on versions of the policy, each in the caller's open transaction.

The policy file and the environment are a proposal. A stricter policy applies at once. One that loosens anything, or names another token
or cold wallet, takes two persons, and in production applies a day after the second one's approval.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.actor import Actor
from kit.db.cas import compare_and_set
from kit.db.inserts import insert_or_ignore
from kit.http.problems import Problem, not_found
from kit.ids import Ids
from kit.persons import same_person
from kit.state import Refused, decide
from treasury.core import history as core_history
from treasury.policy.serialization import digest, dump
from treasury.policy.states import MOVES, Loosening, Terms, VersionFact, VersionStatus, compare
from treasury.policy.table import policies, to_version
from treasury.policy.version import Version

FILE: Final = "file"
"""The author of proposals that the policy file makes when the service starts; it is no person."""
WAIT: Final = timedelta(hours=24)
"""In production, the time from the second person's approval until a version applies."""
_OPEN = (VersionStatus.PROPOSED, VersionStatus.APPROVED)
FRESH: Final = timedelta(hours=72)
"""The time after which a proposal without a second person's approval expires."""
_MAX_HISTORY: Final = 50
# Built once: the sender reads it several times in each cycle.
_ACTIVE = sa.select(policies).where(policies.c.active_key == sa.bindparam("scope"))


async def active(conn: AsyncConnection, scope: str) -> Version | None:
    """Return the version that applies to a hot wallet (`scope` is its key); None before the first start."""
    row = (await conn.execute(_ACTIVE, {"scope": scope})).first()
    return None if row is None else to_version(row)


async def require_active(conn: AsyncConnection, scope: str) -> Version:
    """Return the version that applies. Raises LookupError before the first start: nothing may leave without a policy."""
    version = await active(conn, scope)
    if version is None:
        raise LookupError("no policy is active: start the service once with the policy file in place")
    return version


async def propose(
    conn: AsyncConnection,
    terms: Terms,
    actor: Actor | None = None,
    *,
    scope: str,
    now: datetime,
    ids: Ids,
    production: bool = False,
) -> Version:
    """Propose terms and return the version that results, which is active if nothing is loosened.

    The very first terms are active at once. Proposing the same terms again returns the version that exists; if it waits for a second
    person and `actor` is another person than the first, this approves it. `actor` None: a start proposes, which approves nothing.
    Raises Problem.
    """
    by = FILE if actor is None else actor.id
    current = await active(conn, scope)
    if current is None:
        return await _insert(conn, terms, scope, VersionStatus.ACTIVE, (), actor, now=now, ids=ids)
    verdict = compare(current.terms, terms)
    loosens = verdict.rules if isinstance(verdict, Loosening) else ()
    open_versions = await _open(conn, scope)
    if digest(terms) == current.digest:
        if actor is not None:
            note = "the active terms were proposed again"
            for version in open_versions:
                await _close(conn, version, VersionFact.SUPERSEDED, by=by, now=now, note=note)
        return current
    if loosens:
        for version in open_versions:
            if version.digest == digest(terms) and version.loosens == loosens and not _has_expired(version, now):
                if actor is None or version.status is VersionStatus.APPROVED:
                    return version
                return await approve(conn, version.id, actor, now=now, production=production, again=True)
    for version in open_versions:
        await _close(conn, version, VersionFact.SUPERSEDED, by=by, now=now, note="other terms were proposed")
    if loosens:
        return await _insert(conn, terms, scope, VersionStatus.PROPOSED, loosens, actor, now=now, ids=ids)
    await _retire(conn, current, by=by, now=now)
    return await _insert(conn, terms, scope, VersionStatus.ACTIVE, (), actor, now=now, ids=ids)


async def approve(
    conn: AsyncConnection,
    version_id: str,
    actor: Actor,
    *,
    now: datetime,
    production: bool,
    note: str = "",
    again: bool = False,
) -> Version:
    """Approve a proposed version as one of two persons; the second approval makes it apply, at once or after the wait.

    A proposal that has expired, or was compared with another active policy, is closed and returned as `superseded`; the caller refuses
    the command once that is committed. With `again` the first person may repeat their proposal, which changes nothing. Raises Problem.
    """
    version = await require(conn, version_id)
    if version.status is not VersionStatus.PROPOSED:
        detail = f"Version {version.version} is {version.status}; only a proposed version can be approved."
        raise Problem(409, "not_possible", detail)
    current = await require_active(conn, version.scope)
    verdict = compare(current.terms, version.terms)
    if (isinstance(verdict, Loosening) and verdict.rules != version.loosens) or _has_expired(version, now):
        note = "the proposal has expired, or the active policy changed since"
        await _close(conn, version, VersionFact.SUPERSEDED, by=actor.id, now=now, note=note)
        return await require(conn, version_id)
    if version.proposed_person is None:
        proposer = {"proposed_by": actor.id, "proposed_person": actor.person}
        await _move(conn, version, VersionFact.ENDORSED, by=actor.id, now=now, note=note, **proposer)
        return await require(conn, version_id)
    if same_person(version.proposed_person, actor.person):
        if again:
            return version
        raise Problem(409, "self_approval", "You proposed this policy; another approver has to approve it.")
    applies_at = now + WAIT if production else now
    approval = {"approved_by": actor.id, "approved_person": actor.person, "applies_at": applies_at}
    await _move(conn, version, VersionFact.APPROVED, by=actor.id, now=now, note=note, **approval)
    await apply_due(conn, version.scope, now=now)
    return await require(conn, version_id)


async def reject(conn: AsyncConnection, version_id: str, actor: Actor, *, now: datetime, note: str = "") -> Version:
    """Reject a version that is not active yet; one person is enough. Raises Problem."""
    version = await require(conn, version_id)
    if version.status not in _OPEN:
        detail = f"Version {version.version} is {version.status} and cannot be rejected any more."
        raise Problem(409, "not_possible", detail)
    await _close(conn, version, VersionFact.REJECTED, by=actor.id, now=now, note=note)
    return await require(conn, version_id)


async def apply_due(conn: AsyncConnection, scope: str, *, now: datetime) -> Version | None:
    """Make an approved version active once its wait is over; return it, or None if none was due.

    Raises Problem if another process did so at the same time.
    """
    due = [row for row in await _open(conn, scope) if row.applies_at is not None and row.applies_at <= now]
    if not due:
        return None
    version, by = due[0], due[0].approved_by or FILE
    await _retire(conn, await require_active(conn, scope), by=by, now=now)
    await _move(conn, version, VersionFact.APPLIED, by=by, now=now, note="applied", active_key=scope)
    return await require(conn, version.id)


async def history(conn: AsyncConnection, scope: str) -> list[Version]:
    """Return the 50 newest versions, the newest first."""
    query = sa.select(policies).where(policies.c.scope == scope).order_by(policies.c.version.desc())
    return [to_version(row) for row in (await conn.execute(query.limit(_MAX_HISTORY))).fetchall()]


async def proposed(conn: AsyncConnection, scope: str, now: datetime) -> list[Version]:
    """Return the versions that wait for persons and have not expired, the lowest version first."""
    open_versions = await _open(conn, scope)
    return [row for row in open_versions if row.status is VersionStatus.PROPOSED and not _has_expired(row, now)]


async def require(conn: AsyncConnection, version_id: str) -> Version:
    """Return a version by its id. Raises Problem `not_found` if there is none."""
    version = await _one(conn, policies.c.id == version_id)
    if version is None:
        raise not_found("policy version")
    return version


def _has_expired(version: Version, now: datetime) -> bool:
    return version.status is VersionStatus.PROPOSED and version.created_at + FRESH <= now


async def _insert(
    conn: AsyncConnection,
    terms: Terms,
    scope: str,
    status: VersionStatus,
    loosens: tuple[str, ...],
    actor: Actor | None,
    *,
    now: datetime,
    ids: Ids,
) -> Version:
    newest = (await conn.execute(sa.select(sa.func.max(policies.c.version)).where(policies.c.scope == scope))).scalar()
    row = {
        "id": ids.new("pol_"),
        "scope": scope,
        "version": (newest or 0) + 1,
        "status": status,
        "terms": dump(terms),
        "digest": digest(terms),
        "loosens": ",".join(loosens),
        "active_key": scope if status is VersionStatus.ACTIVE else None,
        "proposed_by": FILE if actor is None else actor.id,
        "proposed_person": None if actor is None else actor.person,
        "created_at": now,
        "updated_at": now,
    }
    if not await insert_or_ignore(conn, policies, [row]):
        # Another process started with the same file at the same time; on Postgres its row is visible now.
        raise Problem(409, "not_possible", "Another process is changing the policy; try again.")
    row_id, by, note = str(row["id"]), str(row["proposed_by"]), str(row["loosens"])
    await core_history.record(conn, row_id, at=now, from_status=None, to_status=status, by=by, note=note)
    return await require(conn, row_id)


async def _retire(conn: AsyncConnection, version: Version, *, by: str, now: datetime) -> None:
    note = "another version is active"
    await _move(conn, version, VersionFact.SUPERSEDED, by=by, now=now, note=note, active_key=None)


async def _close(
    conn: AsyncConnection, version: Version, fact: VersionFact, *, by: str, now: datetime, note: str
) -> None:
    await _move(conn, version, fact, by=by, now=now, note=note, applies_at=None)


async def _move(
    conn: AsyncConnection, version: Version, fact: VersionFact, *, by: str, now: datetime, note: str, **values: Any
) -> None:
    decision = decide(MOVES, version.status, fact)
    if isinstance(decision, Refused):
        raise Problem(409, "not_possible", f"Version {version.version}: {decision.reason}.")
    changes = {"status": decision.to, "updated_at": now, **values}
    if not await compare_and_set(conn, policies, version.id, [version.status], **changes):
        detail = f"Someone else has just changed version {version.version}. Reload it and try again."
        raise Problem(409, "not_possible", detail)
    await core_history.record(
        conn, version.id, at=now, from_status=version.status, to_status=decision.to, by=by, note=note
    )


async def _open(conn: AsyncConnection, scope: str) -> list[Version]:
    query = sa.select(policies).where(policies.c.scope == scope, policies.c.status.in_(list(_OPEN)))
    return [to_version(row) for row in (await conn.execute(query.order_by(policies.c.version))).fetchall()]


async def _one(conn: AsyncConnection, condition: sa.ColumnElement[bool]) -> Version | None:
    row = (await conn.execute(sa.select(policies).where(condition))).first()
    return None if row is None else to_version(row)
