"""Write and read the audit trail. `kit.audit.worker` links the entries into a chain later, so that writers do not wait for each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.table import entries, links

LOCAL_OPERATOR = "machine"
"""The actor of a command that works directly on the database: someone with access to this machine."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the audit trail. `number` and `hash` are set once it is linked into the chain."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str | None
    policy_version: int | None
    number: int | None = None
    hash: str | None = None


async def record(
    conn: AsyncConnection,
    actor: str,
    action: str,
    subject: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    *,
    at: datetime,
    policy_version: int | None = None,
) -> None:
    """Write an entry in the transaction that makes the change.

    `before` and `after` contain what changed: ids, states, and amounts as decimal text, never personal data. The id of the current request,
    if there is one, is stored with them.
    """
    await conn.execute(
        sa.insert(entries).values(
            at=at,
            actor=actor,
            action=action,
            subject=subject,
            old_values=_json(before),
            new_values=_json(after),
            request_id=structlog.contextvars.get_contextvars().get("request_id"),
            policy_version=policy_version,
        )
    )


async def page(
    conn: AsyncConnection,
    *,
    limit: int,
    before_id: int | None = None,
    subject: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Sequence[Entry]:
    """Return up to `limit` entries, newest first: with `before_id` those older than that entry.

    Of the others, `subject`, `actor` and `action` are compared as a whole, and entries are written from `since` on and before `until`.
    """
    query = _joined().order_by(entries.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(entries.c.id < before_id)
    for column, value in ((entries.c.subject, subject), (entries.c.actor, actor), (entries.c.action, action)):
        if value is not None:
            query = query.where(column == value)
    if since is not None:
        query = query.where(entries.c.at >= since)
    if until is not None:
        query = query.where(entries.c.at < until)
    return [entry_of(row) for row in await conn.execute(query)]


async def after_id(conn: AsyncConnection, last: int, limit: int) -> Sequence[Entry]:
    """Return up to `limit` entries with ids above `last`, oldest first."""
    query = _joined().where(entries.c.id > last).order_by(entries.c.id).limit(limit)
    return [entry_of(row) for row in await conn.execute(query)]


def _joined() -> "sa.Select[Any]":
    return sa.select(entries, links.c.number, links.c.hash).select_from(
        entries.outerjoin(links, links.c.entry_id == entries.c.id)
    )


def entry_of(row: Any) -> Entry:
    """Return the entry of a database row; its columns `number` and `hash` may be missing if it was read without its link."""
    return Entry(
        row.id,
        row.at,
        row.actor,
        row.action,
        row.subject,
        row.old_values,
        row.new_values,
        row.request_id,
        row.policy_version,
        getattr(row, "number", None),
        getattr(row, "hash", None),
    )


def _json(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Convert times to text, and integers of 2^53 and more, because other JSON readers would round them."""
    if values is None:
        return None
    converted: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, datetime):
            converted[name] = value.isoformat()
        elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
            converted[name] = str(value)
        else:
            converted[name] = value
    return converted
