"""The stored messages, as they were sent: read by `onramp hooks listen` and by `onramp hooks verify`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.paging import Position
from kit.http.problems import not_found
from onramp.hooks.table import messages


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message with the exact bytes of its body, as text."""

    id: str
    type: str
    subject: str
    body: str
    created_at: datetime


async def since(
    conn: AsyncConnection, moment: datetime, *, limit: int, after: Position | None = None
) -> Sequence[StoredMessage]:
    """Return up to `limit` messages of events since a time, the oldest first; with `after`, those that follow that position."""
    at, key = messages.c.created_at, messages.c.id
    query = sa.select(messages).where(at >= moment)
    if after is not None:
        query = query.where(sa.or_(at > after.at, sa.and_(at == after.at, key > after.id)))
    rows = await conn.execute(query.order_by(at, key).limit(limit))
    return [_message(row) for row in rows]


async def get(conn: AsyncConnection, message_id: str) -> StoredMessage:
    """Return one message. Raises Problem 404."""
    row = (await conn.execute(sa.select(messages).where(messages.c.id == message_id))).one_or_none()
    if row is None:
        raise not_found("message")
    return _message(row)


def _message(row: Any) -> StoredMessage:
    return StoredMessage(row.id, row.type, row.subject, row.body, row.created_at)
