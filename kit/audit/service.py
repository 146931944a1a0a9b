"""Write to the trail, and read it. Linking is the sealer's work, so that writers do not queue behind a chain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.table import entries, links

LOCAL_OPERATOR = "machine"
"""The actor of a command that works straight on the database: whoever holds the machine."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change, as it was written; `number` and `hash` once the sealer linked it."""

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
    """Write one row, in the transaction that makes the change.

    `before` and `after` hold what changed: ids, states and amounts as decimal text, never a personal value.
    The id of the request that is being served, if one is, is written beside them.
    """
    await conn.execute(
        sa.insert(entries).values(
            at=at,
            actor=actor,
            action=action,
            subject=subject,
            old_values=_plain(before),
            new_values=_plain(after),
            request_id=structlog.contextvars.get_contextvars().get("request_id"),
            policy_version=policy_version,
        )
    )


async def page(
    conn: AsyncConnection, *, limit: int, before_id: int | None = None, subject: str | None = None
) -> Sequence[Entry]:
    """The newest rows first; those before `before_id` where given."""
    query = _joined().order_by(entries.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(entries.c.id < before_id)
    if subject is not None:
        query = query.where(entries.c.subject == subject)
    return [entry_of(row) for row in await conn.execute(query)]


async def after_id(conn: AsyncConnection, last: int, limit: int) -> Sequence[Entry]:
    """Rows in the order they were written, beyond `last`."""
    query = _joined().where(entries.c.id > last).order_by(entries.c.id).limit(limit)
    return [entry_of(row) for row in await conn.execute(query)]


def _joined() -> "sa.Select[Any]":
    return sa.select(entries, links.c.number, links.c.hash).select_from(
        entries.outerjoin(links, links.c.entry_id == entries.c.id)
    )


def entry_of(row: Any) -> Entry:
    """An entry from a row that holds its columns, and the link's where they were asked for."""
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


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Times as text; integers beyond 53 bits as text, because JSON readers elsewhere would round them."""
    if values is None:
        return None
    plain: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, datetime):
            plain[name] = value.isoformat()
        elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
            plain[name] = str(value)
        else:
            plain[name] = value
    return plain
