"""Explain every transaction on the chain: adopt it by its reference, or record it as unmatched; give up what it displaced."""

from collections.abc import Iterator

from tests.support.sender_model.engine import Engine, Step, missing
from tests.support.sender_model.rules import Guard
from tests.support.sender_model.state import NOTHING, Database, Known, Row, Unmatched, World, holder
from tests.support.sender_model.tables import Impossible, replace_rows
from treasury.core.facts import OperationFact
from treasury.core.status import IN_FLIGHT, Status
from treasury.transactions.states import TransactionFact


def steps(engine: Engine, world: World) -> Iterator[Step]:
    """Yield the explanation of the first transaction that no row explains; nothing if each is explained or waits for persons."""
    database = world.database
    for entry in database.unmatched:
        if entry.known is not Known.MATCHED and entry.operation >= 0:
            matched = _adopt(engine, database, entry.nonce, entry.operation, entry.version)
            if matched is not None:
                yield ("adopt", entry.nonce, entry.operation), world._replace(database=matched)
                return
    nonces = missing(world)
    if nonces:
        yield from _explain(engine, world, nonces[0])


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
    adopted = _adopt(engine, database, nonce, mined.operation, mined.version)
    if adopted is not None:
        yield ("adopt", nonce, mined.operation), world._replace(database=adopted)
        return
    after = database
    if all(entry.nonce != nonce for entry in database.unmatched):
        entry = Unmatched(nonce, mined.operation, mined.version)
        after = database._replace(unmatched=tuple(sorted((*database.unmatched, entry), key=_order)))
    try:
        after = _displace(engine, after, nonce)
    except Impossible:
        return
    if after != database:
        yield ("notice", nonce, mined.operation), world._replace(database=after)


def _order(entry: Unmatched) -> tuple[int, int, int]:
    return entry[:3]


def _adopt(engine: Engine, database: Database, nonce: int, index: int, version: int) -> Database | None:
    """Return the database with the transaction as the one that carries out the operation; None if it is not adopted."""
    operation = database.operations[index] if index >= 0 else None
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
        earlier = {row: row._replace(is_current=False) for row in database.rows if row.operation == index}
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
    return engine.tables.operation(database, row.operation, OperationFact.REVERTED)
