"""Explain every transaction on the chain: adopt it by its reference, or record it as unmatched; give up what it displaced."""

from collections.abc import Iterator

from tests.support.sender_model import batches
from tests.support.sender_model.engine import Engine, Step, missing
from tests.support.sender_model.rules import Guard
from tests.support.sender_model.state import (
    NOTHING,
    Database,
    Known,
    Mined,
    Row,
    Unmatched,
    World,
    holder,
    is_batch,
)
from tests.support.sender_model.tables import Impossible, replace_rows
from treasury.core.facts import OperationFact
from treasury.core.status import IN_FLIGHT, Status
from treasury.transactions.states import TransactionFact


def steps(engine: Engine, world: World) -> Iterator[Step]:
    """Yield the explanation of the first transaction that no row explains; nothing if each is explained or waits for persons."""
    database = world.database
    for entry in database.unmatched:
        if entry.known is not Known.MATCHED and entry.operation >= 0:
            matched = _match_late(engine, database, entry)
            if matched not in {None, database}:
                yield ("adopt", entry.nonce, entry.operation), world._replace(database=matched)
                return
    nonces = missing(world)
    if nonces:
        yield from _explain(engine, world, nonces[0])


def _match_late(engine: Engine, database: Database, entry: Unmatched) -> Database | None:
    """Give an unmatched transaction to what was stored since: the payments of a batch to their payouts, a transfer to its operation."""
    row = holder(database, entry.nonce)
    if row is None or not row.payments:
        return _adopt(engine, database, entry.nonce, entry.operation, entry.version)
    if not batches.unclaimed(row) and database.operations[entry.operation] is None:
        return None
    try:
        database = batches.claimed(engine, database, row)
    except Impossible:
        return None
    row = holder(database, entry.nonce)
    left = [] if row is None else batches.unclaimed(row)
    changed = entry._replace(operation=left[0].operation) if left else entry._replace(known=Known.MATCHED)
    return _with_entry(database, changed)


def _with_entry(database: Database, entry: Unmatched) -> Database:
    """Return the database with this entry in place of the one for its nonce."""
    entries = [other for other in database.unmatched if other.nonce != entry.nonce]
    return database._replace(unmatched=tuple(sorted([*entries, entry], key=_order)))


def taken(engine: Engine, world: World, row: Row) -> Iterator[Step]:
    """Yield the explanation of the transaction that used the nonce of a row in flight."""
    yield from _explain(engine, world, row.nonce)


def _explain(engine: Engine, world: World, nonce: int) -> Iterator[Step]:
    database, mined = world.database, world.chain[nonce]
    if any(
        (row.nonce, row.operation) == (nonce, mined.operation) and mined.version in row.versions
        for row in database.rows
    ):
        return
    if mined.operation == NOTHING and database.restore:
        after = _displace(engine, database, nonce)
        row = Row(nonce, NOTHING, Status.BROADCAST, (mined.version,), is_current=False)
        yield ("adopt", nonce, NOTHING), world._replace(database=replace_rows(after, {}, [row]))
        return
    is_adopted = is_batch(mined.operation) and Guard.ADOPTION in engine.config.guards
    adopt = _adopt_batch(engine, database, nonce, mined) if is_adopted else None
    adopted = adopt or _adopt(engine, database, nonce, mined.operation, mined.version)
    if adopted is not None:
        yield ("adopt", nonce, mined.operation), world._replace(database=adopted)
        return
    after = database
    if all(entry.nonce != nonce for entry in database.unmatched):
        operation = NOTHING if is_batch(mined.operation) else mined.operation
        entry = Unmatched(nonce, operation, mined.version)
        after = database._replace(unmatched=tuple(sorted((*database.unmatched, entry), key=_order)))
    try:
        after = _displace(engine, after, nonce)
    except Impossible:
        return
    if after != database:
        yield ("notice", nonce, mined.operation), world._replace(database=after)


def _order(entry: Unmatched) -> tuple[int, int, int]:
    return entry[:3]


def _adopt_batch(engine: Engine, database: Database, nonce: int, mined: Mined) -> Database | None:
    """Return the database with a batch and its payments; None if the database refuses that."""
    row = holder(database, nonce)
    if row is not None and row.operation == mined.operation and row.status in IN_FLIGHT:
        return replace_rows(database, {row: row._replace(versions=(*row.versions, mined.version))})
    try:
        database = _displace(engine, database, nonce)
        if holder(database, nonce) is not None:
            return None
        database = batches.adopted(engine, database, nonce, mined)
    except Impossible:
        return None
    row = holder(database, nonce)
    left = [] if row is None else batches.unclaimed(row)
    if not left:
        return _matched(database, nonce)
    return _with_entry(database, Unmatched(nonce, left[0].operation, mined.version))


def _adopt(engine: Engine, database: Database, nonce: int, index: int, version: int) -> Database | None:
    """Return the database with the transaction as the one that carries out the operation; None if it is not adopted."""
    operation = database.operations[index] if 0 <= index < len(database.operations) else None
    if operation is None or Guard.ADOPTION not in engine.config.guards:
        return None
    row = holder(database, nonce)
    if row is not None and row.operation == index and row.status in IN_FLIGHT:
        versions = (*row.versions, version)
        return replace_rows(_matched(database, nonce), {row: row._replace(versions=versions)})
    if engine.tables.refuses(index, operation, OperationFact.ADOPTED):
        return None
    try:
        database = _displace(engine, database, nonce)
        if holder(database, nonce) is not None:
            return None
        earlier = {row: row.without(index) for row in database.rows}
        database = replace_rows(database, dict(earlier), [Row(nonce, index, Status.BROADCAST, (version,))])
        return engine.tables.operation(_matched(database, nonce), index, OperationFact.ADOPTED)
    except Impossible:
        return None


def _matched(database: Database, nonce: int) -> Database:
    entries = [entry._replace(known=Known.MATCHED) if entry.nonce == nonce else entry for entry in database.unmatched]
    return database._replace(unmatched=tuple(entries))


def _displace(engine: Engine, database: Database, nonce: int) -> Database:
    """Give up our own transaction at a nonce that another one used."""
    row = holder(database, nonce)
    if row is None or row.status not in IN_FLIGHT:
        return database
    database = engine.tables.transaction(database, row, TransactionFact.DISPLACED)
    return engine.tables.operations(database, row.carried(), OperationFact.REVERTED)
