"""The hash chain over the audit trail: each link's hash covers the previous hash and an entry, under a key that is not in the database."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.service import Entry, entry_of
from kit.audit.table import entries, links
from kit.crypto.keyring import DerivedKey, KeyRing

PURPOSE: Final = "audit-chain"
START: Final = "0" * 64
PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Head:
    """The number and hash of the chain's newest link. With an old head one can prove that nothing before it was changed or removed."""

    number: int
    hash: str


NO_HEAD: Final = Head(0, START)


@dataclass(frozen=True, slots=True)
class Broken:
    """The first link at which the chain is not valid, and why; `entry_id` is the entry it links, None if the link itself is missing."""

    number: int
    entry_id: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class AuditVerification:
    """The result of verifying the whole chain.

    `head` is the last valid link, `unlinked` how many entries have no link yet, `broken` None if every link is valid.
    """

    head: Head
    unlinked: int
    broken: Broken | None


def link_hash(key: DerivedKey, previous: str, number: int, entry: Entry) -> str:
    """Return the HMAC-SHA256 over the previous hash and the entry in a canonical form: compact JSON, sorted members, UTC microseconds."""
    content = [
        previous,
        number,
        entry.id,
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.actor,
        entry.action,
        entry.subject,
        entry.before,
        entry.after,
        entry.request_id,
        entry.policy_version,
    ]
    return key.mac(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hex()


async def head(conn: AsyncConnection) -> Head:
    """Return the newest link; NO_HEAD for an empty chain."""
    newest = sa.select(links.c.number, links.c.hash).order_by(links.c.number.desc()).limit(1)
    row = (await conn.execute(newest)).first()
    return NO_HEAD if row is None else Head(row.number, row.hash)


async def hash_at(conn: AsyncConnection, number: int) -> str | None:
    """Return the hash of the link `number`; None if there is no such link."""
    link_hash: str | None = await conn.scalar(sa.select(links.c.hash).where(links.c.number == number))
    return link_hash


async def unlinked(conn: AsyncConnection, *, since: int, limit: int) -> Sequence[Entry]:
    """Return up to `limit` entries with ids above `since` that have no link yet, in the order of their ids."""
    missing = ~sa.exists().where(links.c.entry_id == entries.c.id)
    query = sa.select(entries).where(entries.c.id > since, missing).order_by(entries.c.id).limit(limit)
    return [entry_of(row) for row in await conn.execute(query)]


async def newest_linked_entry(conn: AsyncConnection) -> int:
    """Return the largest id of a linked entry; 0 if no entry is linked."""
    return (await conn.execute(sa.select(sa.func.max(links.c.entry_id)))).scalar_one() or 0


async def extend(conn: AsyncConnection, key: DerivedKey, last: Head, new: Sequence[Entry], linked_at: Any) -> Head:
    """Link the entries `new` after `last` and return the new head. Raises IntegrityError if another process has used the number meanwhile."""
    values = []
    for entry in new:
        number = last.number + 1
        last = Head(number, link_hash(key, last.hash, number, entry))
        values.append(
            {"number": number, "entry_id": entry.id, "hash": last.hash, "key_id": key.id, "sealed_at": linked_at}
        )
    if values:
        await conn.execute(sa.insert(links), values)
    return last


async def verify(conn: AsyncConnection, ring: KeyRing, published: Sequence[Head] = ()) -> AuditVerification:
    """Verify the whole chain with the ring's keys. `published` are heads known from logs or metrics, which must still be part of it."""
    keys = {key.id: key for key in ring.all(PURPOSE)}
    expected = {head.number: head.hash for head in published}
    last = NO_HEAD
    broken: Broken | None = None
    async for row in _walk(conn):
        broken = _check(row, last, keys, expected)
        if broken is not None:
            break
        last = Head(row.number, row.hash)
    if broken is None and expected and max(expected) > last.number:
        broken = Broken(last.number + 1, None, f"the chain ends at {last.number}, but was longer: links were removed")
    waiting = sa.select(sa.func.count()).where(~sa.exists().where(links.c.entry_id == entries.c.id))
    count = (await conn.execute(waiting.select_from(entries))).scalar_one()
    return AuditVerification(last, count, broken)


def _check(row: Any, last: Head, keys: Mapping[str, DerivedKey], expected: Mapping[int, str]) -> Broken | None:
    number = last.number + 1
    if row.number != number:
        return Broken(number, None, "its link is missing")
    if row.id is None:
        return Broken(number, row.entry_id, "the entry is missing")
    key = keys.get(row.key_id)
    if key is None:
        return Broken(number, row.entry_id, f"it was linked under key {row.key_id}, which is not in the key ring")
    if link_hash(key, last.hash, number, entry_of(row)) != row.hash:
        return Broken(number, row.entry_id, "the entry was changed after it was linked")
    if expected.get(number, row.hash) != row.hash:
        return Broken(number, row.entry_id, "a different hash was published for this number")
    return None


async def _walk(conn: AsyncConnection) -> AsyncIterator[Any]:
    last = 0
    while True:
        query = (
            sa.select(links.c.number, links.c.entry_id, links.c.hash, links.c.key_id, entries)
            .select_from(links.outerjoin(entries, entries.c.id == links.c.entry_id))
            .where(links.c.number > last)
            .order_by(links.c.number)
            .limit(PAGE)
        )
        rows = (await conn.execute(query)).fetchall()
        for row in rows:
            yield row
        if len(rows) < PAGE:
            return
        last = rows[-1].number
