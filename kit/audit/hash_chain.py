"""The chain over the trail: each link's hash covers the one before it and the row, under a key that the database does not hold."""

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
    """The newest link. Whoever knows an old head can prove that nothing up to it was changed or cut off."""

    number: int
    hash: str


NO_HEAD: Final = Head(0, START)


@dataclass(frozen=True, slots=True)
class Broken:
    """The first row at which the chain does not hold."""

    number: int
    entry_id: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk along the whole chain found."""

    head: Head
    unsealed: int
    broken: Broken | None


def link_hash(key: DerivedKey, previous: str, number: int, entry: Entry) -> str:
    """HMAC-SHA256 over the previous hash and the row in one canonical form: compact JSON, members sorted, UTC microseconds."""
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
    """The newest link, or `NO_HEAD`."""
    newest = sa.select(links.c.number, links.c.hash).order_by(links.c.number.desc()).limit(1)
    row = (await conn.execute(newest)).first()
    return NO_HEAD if row is None else Head(row.number, row.hash)


async def hash_at(conn: AsyncConnection, number: int) -> str | None:
    """The hash of one link; None where there is none of that number."""
    found: str | None = (
        await conn.execute(sa.select(links.c.hash).where(links.c.number == number))
    ).scalar_one_or_none()
    return found


async def unsealed(conn: AsyncConnection, *, since: int, limit: int) -> Sequence[Entry]:
    """Rows beyond id `since` that have no link yet, in the order of their ids."""
    missing = ~sa.exists().where(links.c.entry_id == entries.c.id)
    query = sa.select(entries).where(entries.c.id > since, missing).order_by(entries.c.id).limit(limit)
    return [entry_of(row) for row in await conn.execute(query)]


async def newest_sealed_entry(conn: AsyncConnection) -> int:
    """The largest id of a row that has a link; 0 for none."""
    return (await conn.execute(sa.select(sa.func.max(links.c.entry_id)))).scalar_one() or 0


async def extend(conn: AsyncConnection, key: DerivedKey, last: Head, rows: Sequence[Entry], sealed_at: Any) -> Head:
    """Link `rows` behind `last`. Where another sealer was quicker, the number is taken and the database raises."""
    values = []
    for entry in rows:
        number = last.number + 1
        last = Head(number, link_hash(key, last.hash, number, entry))
        values.append(
            {"number": number, "entry_id": entry.id, "hash": last.hash, "key_id": key.id, "sealed_at": sealed_at}
        )
    if values:
        await conn.execute(sa.insert(links), values)
    return last


async def verify(conn: AsyncConnection, ring: KeyRing, published: Sequence[Head] = ()) -> Verdict:
    """Walk the whole chain. `published`: heads known from logs or metrics, which must still stand in it."""
    keys = {key.id: key for key in ring.all(PURPOSE)}
    wanted = {known.number: known.hash for known in published}
    last = NO_HEAD
    broken: Broken | None = None
    async for row in _walk(conn):
        broken = _look(row, last, keys, wanted)
        if broken is not None:
            break
        last = Head(row.number, row.hash)
    if broken is None and wanted and max(wanted) > last.number:
        broken = Broken(last.number + 1, None, f"the chain ends at {last.number}, and was longer: rows were cut off")
    waiting = sa.select(sa.func.count()).where(~sa.exists().where(links.c.entry_id == entries.c.id))
    count = (await conn.execute(waiting.select_from(entries))).scalar_one()
    return Verdict(last, count, broken)


def _look(row: Any, last: Head, keys: Mapping[str, DerivedKey], wanted: Mapping[int, str]) -> Broken | None:
    number = last.number + 1
    if row.number != number:
        return Broken(number, None, "its link is missing")
    if row.id is None:
        return Broken(number, row.entry_id, "the row is missing")
    key = keys.get(row.key_id)
    if key is None:
        return Broken(number, row.entry_id, f"it was sealed under key {row.key_id}, which DATA_KEYS does not hold")
    if link_hash(key, last.hash, number, entry_of(row)) != row.hash:
        return Broken(number, row.entry_id, "the row is not the one that was sealed")
    if wanted.get(number, row.hash) != row.hash:
        return Broken(number, row.entry_id, "another head was published for this number")
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
