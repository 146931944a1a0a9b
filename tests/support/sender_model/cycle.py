"""The cycle of the leader: finish what was begun, explain every transaction, and only then sign the next."""

from collections.abc import Iterator

from tests.support.sender_model import batches, explaining, queueing
from tests.support.sender_model.engine import (
    Engine,
    Step,
    is_known,
    is_taken,
    new_row,
    own_transaction,
    put,
    unsigned,
)
from tests.support.sender_model.rules import Feature, Guard
from tests.support.sender_model.state import (
    NOTHING,
    Bytes,
    Database,
    Known,
    Leader,
    Phase,
    Row,
    World,
    batch_of,
    next_nonce,
    paid_by,
)
from tests.support.sender_model.tables import Impossible, replace_rows
from treasury.core.facts import OperationFact
from treasury.core.status import IN_FLIGHT, Status
from treasury.transactions.states import TransactionFact

_DECIDED = frozenset({Status.FINAL, Status.REVERTED})
_WAITING = frozenset({Status.APPROVED, Status.HELD})


def steps(engine: Engine, world: World, place: int, leader: Leader) -> Iterator[Step]:
    """Yield what an idle leader may do next."""
    recovered = _recover(engine, world)
    if recovered is not None:
        yield recovered
        return
    yield from _follow(engine, world)
    yield from queueing.holds(engine, world)
    explained = list(explaining.steps(engine, world))
    yield from explained
    if explained and Guard.EXPLAIN_FIRST in engine.config.guards:
        return
    yield from _sign(engine, world, place, leader)


def _recover(engine: Engine, world: World) -> Step | None:
    """Release the newest nonce without bytes, or spend one that has others above it."""
    database = world.database
    for row in unsigned(database):
        try:
            if row.nonce == next_nonce(database) - 1 or row.nonce < len(world.chain):
                engine.tables.transaction(database, row, TransactionFact.NONCE_RELEASED)
                after = replace_rows(database, {row: None})
                after = engine.tables.operations(after, row.carried(), OperationFact.READY)
                return ("release", row.nonce, row.operation), world._replace(database=after)
            if row.operation != NOTHING:
                empty = row._replace(operation=NOTHING, is_current=False, payments=())
                after = replace_rows(database, {row: empty})
                after = engine.tables.operations(after, row.carried(), OperationFact.READY)
                return ("detach", row.nonce, row.operation), world._replace(database=after)
            after = engine.tables.transaction(database, row, TransactionFact.STORED, versions=(world.life,))
            return ("spend", row.nonce), world._replace(database=after)
        except Impossible:
            continue
    return None


def _follow(engine: Engine, world: World) -> Iterator[Step]:
    """Follow the transactions with bytes: reorganisations, receipts, nonces taken by others, broadcasts, fees."""
    database = world.database
    is_sending = True
    for row in database.rows:
        if row.status in _DECIDED and _is_replaced(world, row):
            yield from _reorged(engine, world, row)
        elif row.status in IN_FLIGHT and row.nonce < len(world.chain):
            if row.status is Status.SIGNED and own_transaction(world, row) is not None:
                # Its receipt may come a block later than the node's answer that it has the bytes.
                yield from _rebroadcast(engine, world, row)
            if own_transaction(world, row) is not None or Guard.PROOF not in engine.config.guards:
                yield from _decided(engine, world, row)
            else:
                yield from explaining.taken(engine, world, row)
        elif row.status in IN_FLIGHT:
            unknown = [version for version in row.versions if not _known(world, row, version)]
            if is_sending and (unknown or row.status is Status.SIGNED):
                is_sending = False
                yield from _rebroadcast(engine, world, row)
            if len(unknown) == len(row.versions) and Feature.FEE in engine.config.features:
                yield from _bump(engine, world, row)


def _known(world: World, row: Row, version: int) -> bool:
    return is_known(world, Bytes(row.nonce, row.operation, version))


def _is_replaced(world: World, row: Row) -> bool:
    """Return whether the block in which the row was decided is gone."""
    mined = own_transaction(world, row)
    return mined is None or mined.branch != row.branch


def _reorged(engine: Engine, world: World, row: Row) -> Iterator[Step]:
    database, fact = world.database, OperationFact.REORGED
    is_current = row.is_current
    if row.payments:
        taken_back = batches.taken_back(engine, database, row)
        if taken_back is not None:
            yield ("notice_reorg", row.nonce, row.operation), world._replace(database=taken_back)
        return
    if row.status is Status.REVERTED:
        operation = database.operations[row.operation] if row.operation >= 0 else None
        others = any(other.is_current for other in database.rows if other.operation == row.operation and other != row)
        ready = operation is not None and operation.status in _WAITING and not others
        if not ready and not (row.is_current and operation is not None and operation.status is Status.REVERTED):
            return
        fact, is_current = OperationFact.ADOPTED, True
    try:
        after = engine.tables.transaction(database, row, TransactionFact.REORGED, branch=-1, is_current=is_current)
        after = engine.tables.operation(after, row.operation, fact)
    except Impossible:
        return
    yield ("notice_reorg", row.nonce, row.operation), world._replace(database=after)


def _decided(engine: Engine, world: World, row: Row) -> Iterator[Step]:
    mined = world.chain[row.nonce]
    facts: tuple[TransactionFact, ...]
    moves: tuple[OperationFact, ...]
    if mined.succeeded:
        facts = (TransactionFact.MINED, TransactionFact.PROVEN)
        moves = (OperationFact.MINED, OperationFact.PROVEN)
    else:
        facts, moves = (TransactionFact.REVERTED,), (OperationFact.REVERTED,)
    try:
        if row.payments and mined.succeeded:
            after = batches.decided(engine, world.database, row, mined)
        else:
            after = engine.tables.transaction(world.database, row, *facts, branch=mined.branch)
            for fact in moves:
                after = engine.tables.operations(after, row.carried(), fact)
    except Impossible:
        return
    yield ("prove" if mined.succeeded else "see_failure", row.nonce, row.operation), world._replace(database=after)


def _rebroadcast(engine: Engine, world: World, row: Row) -> Iterator[Step]:
    after = world
    for version in row.versions:
        after = engine.sent(after, Bytes(row.nonce, row.operation, version))
    database = after.database
    for version in row.versions:
        if _known(after, row, version):
            database = engine.reached(database, Bytes(row.nonce, row.operation, version))
    yield ("broadcast_again", row.nonce, row.operation), after._replace(database=database)


def _bump(engine: Engine, world: World, row: Row) -> Iterator[Step]:
    version = 2 + world.life
    if version in row.versions:
        return
    if Guard.FEE_BUMP_KEEPS_NONCE in engine.config.guards:
        after = replace_rows(world.database, {row: row._replace(versions=(*row.versions, version))})
    else:
        nonce = next_nonce(world.database)
        more = Row(nonce, row.operation, Status.SIGNED, (version,))
        after = replace_rows(world.database, {row: row._replace(is_current=False)}, [more])
    yield ("raise_fee", row.nonce, row.operation), world._replace(database=after)


def _sign(engine: Engine, world: World, place: int, leader: Leader) -> Iterator[Step]:
    """Allocate nonces to the operations whose turn it is; or hold the first to which a check objects."""
    database, guards, count = world.database, engine.config.guards, len(world.chain)
    nonce = next_nonce(database) if Guard.NONCE_UNIQUE in guards else count
    nonce = nonce if Guard.EXPLAIN_FIRST in guards else max(nonce, count)
    lost = Guard.LOST_WRITES in guards and nonce <= leader.stored
    if lost or (Guard.UNKNOWN_BYTES in guards and not leader.has_asked):
        yield _look_back(engine, world, place, leader, nonce)
        return
    if database.restore and Guard.EMPTY_TRANSFERS in guards:
        yield from _spend_nonces(engine, world, place, leader)
        return
    if Guard.TAKERS_ARE_KNOWN in guards and any(is_taken(world, row) for row in database.rows):
        return
    ahead = nonce - count
    is_stopped = Guard.UNMATCHED_STOPS in guards and any(entry.known is Known.OPEN for entry in database.unmatched)
    is_waiting = any(row.status is Status.SIGNED and row.nonce >= count for row in database.rows)
    if not 0 <= ahead < engine.config.depth or (ahead and is_waiting):
        return
    queue = queueing.queue(engine, world, stopped=is_stopped)
    if not queue:
        return
    is_payout = engine.config.kinds[queue[0]] == "payout"
    capacity = (engine.config.batch or engine.config.depth - ahead) if is_payout else 1
    ready: list[int] = []
    for index in queue[:capacity]:
        wait = queueing.objection(engine, world, index)
        if wait is not None:
            held = engine.tables.operation(database, index, OperationFact.HELD, wait)
            yield ("hold", index, wait), world._replace(database=held)
            return
        ready.append(index)
    if ready:
        ready = [batch_of(tuple(ready))] if is_payout and engine.config.batch else ready
        after = allocate(engine, world, place, leader, ready, nonce)
        yield ("allocate", nonce, tuple(ready)), after


def _look_back(engine: Engine, world: World, place: int, leader: Leader, nonce: int) -> Step:
    """Declare a restore if this process, or a node, knows a nonce that the database does not; else remember that it asked."""
    database, count = world.database, len(world.chain)
    waiting = count
    while any(bytes_.nonce == waiting for bytes_ in world.memory):
        waiting += 1
    highest = leader.stored + 1 if nonce <= leader.stored else waiting
    asked = leader._replace(has_asked=leader.has_asked or nonce > leader.stored, stored=-1)
    if nonce > leader.stored and (database.restore or waiting <= nonce):
        return ("ask_nodes",), put(world, place, asked._replace(stored=leader.stored))
    depth = max(engine.config.depth, highest - count, database.restore)
    return ("declare", "lost" if nonce <= leader.stored else "unknown"), put(
        world._replace(database=declared(database, depth)), place, asked
    )


def declared(database: Database, depth: int) -> Database:
    """Return the database with an open restore. Empty transfers of an earlier one do not count for it."""
    old = {row: row._replace(is_current=False) for row in database.rows if row.operation == NOTHING}
    return replace_rows(database._replace(restore=depth), dict(old))


def _spend_nonces(engine: Engine, world: World, place: int, leader: Leader) -> Iterator[Step]:
    """Sign empty transfers until as many nonces in a row as the restore asks for are spent by its own; then end it."""
    database = world.database
    nonce = next_nonce(database)
    spent = {row.nonce: row for row in database.rows if row.operation == NOTHING and row.is_current}
    in_a_row: list[Row] = []
    while (row := spent.get(nonce - 1 - len(in_a_row))) is not None and row.status is not Status.CANCELLED:
        in_a_row.append(row)
    missing_count = database.restore - len(in_a_row)
    if missing_count <= 0:
        is_explained = not any(entry.known is Known.OPEN for entry in database.unmatched)
        if is_explained and all(row.status in _DECIDED for row in in_a_row[: database.restore]):
            yield ("end_restore",), world._replace(database=declared(database, 0))
        return
    size = min(missing_count, len(world.chain) + engine.config.depth - nonce)
    if size > 0 and nonce >= len(world.chain):
        yield ("allocate_nothing", nonce, size), allocate(engine, world, place, leader, [NOTHING] * size, nonce)


def allocate(engine: Engine, world: World, place: int, leader: Leader, operations: list[int], nonce: int) -> World:
    """Return the world after nonces from `nonce` on were allocated to these operations in one transaction."""
    database, batch = world.database, list[Bytes]()
    for number, index in enumerate(operations, start=nonce):
        database = replace_rows(database, {}, [new_row(number, index)])
        database = engine.tables.operations(database, paid_by(index), OperationFact.READY)
        batch.append(Bytes(number, index, world.life))
    is_stored_first = Guard.STORE_BEFORE_BROADCAST in engine.config.guards
    phase = Phase.ALLOCATED if is_stored_first else Phase.STORED
    return put(world._replace(database=database), place, leader._replace(phase=phase, batch=tuple(batch)))
