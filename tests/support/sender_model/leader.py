"""What a leading process does, one write or one visible effect at a time, as `treasury.sender` does it.

A cycle of the sender decides on a view of the chain that may be old by the time it writes. The model decides each write on the present
chain: a write commutes with everything that the chain does, so the order (view, block, write) leads to the same state as (view, write,
block).
"""

from collections.abc import Iterator

from tests.support.sender_model import cycle
from tests.support.sender_model.engine import Engine, Step, is_known, new_row, put
from tests.support.sender_model.rules import Fault, Feature, Guard
from tests.support.sender_model.state import Bytes, Database, Leader, Phase, World, holder, paid_by
from tests.support.sender_model.tables import Impossible, replace_rows
from treasury.core.facts import OperationFact
from treasury.core.status import Status
from treasury.transactions.states import TransactionFact


def steps(engine: Engine, world: World) -> Iterator[Step]:
    """Yield what the processes may do next."""
    lead = take_lease(engine, world)
    if lead is not None:
        yield lead
    for place, leader in enumerate(world.leaders):
        if leader is None:
            continue
        if leader.phase is not Phase.IDLE and engine.left(world, Fault.CRASH):
            yield ("crash", leader.phase), engine.spend(put(world, place, None), Fault.CRASH)
        yield from process_steps(engine, world, place, leader)


def process_steps(engine: Engine, world: World, place: int, leader: Leader) -> Iterator[Step]:
    """Yield what one process may do next."""
    leads = leader.lease == world.database.lease or Guard.FENCING not in engine.config.guards
    if leader.phase is Phase.STORED:
        yield from _broadcast(engine, world, place, leader)
    elif not leads:
        yield ("lose_lease",), put(world, place, None)
    elif leader.phase is Phase.ALLOCATED:
        yield from _store(engine, world, place, leader)
    elif leader.phase is Phase.SENT:
        yield ("record", leader.batch), _record(engine, world, place, leader)
    else:
        yield from cycle.steps(engine, world, place, leader)


def take_lease(engine: Engine, world: World) -> Step | None:
    """Let a process lead that does nothing yet: at once if no process leads, and within the bound if one is suspended in a step."""
    if None not in world.leaders:
        return None
    current = next((leader for leader in world.leaders if leader and leader.lease == world.database.lease), None)
    if current is not None:
        if current.phase is Phase.IDLE or not engine.left(world, Fault.TAKEOVER):
            return None
        world = engine.spend(world, Fault.TAKEOVER)
    used = {leader.lease for leader in world.leaders if leader} | ({world.backup.lease} if world.backup else set())
    lease = next(number for number in range(1, 9) if number not in used and number != world.database.lease)
    taken = world._replace(database=world.database._replace(lease=lease))
    return ("lead",), put(taken, world.leaders.index(None), Leader(lease))


def _store(engine: Engine, world: World, place: int, leader: Leader) -> Iterator[Step]:
    """Sign and store, in the order of nonces up to the first signature that failed."""
    least = 0 if Feature.SIGNER_DOWN in engine.config.features else len(leader.batch)
    for size in range(least, len(leader.batch) + 1):
        batch = leader.batch[:size]
        try:
            database = _stored(engine, world, batch)
        except Impossible:
            yield ("refused", "store"), put(world, place, leader._replace(phase=Phase.IDLE, batch=()))
            return
        if Guard.STORE_BEFORE_BROADCAST in engine.config.guards:
            after = leader._replace(phase=Phase.STORED if batch else Phase.IDLE, batch=batch)
        else:
            after = leader._replace(phase=Phase.SENT, batch=batch)
        after = after._replace(stored=max(after.stored, *(entry.nonce for entry in batch))) if batch else after
        label = ("store", batch) if batch else ("signer_down",)
        yield label, put(world._replace(database=database), place, after)


def _stored(engine: Engine, world: World, batch: tuple[Bytes, ...]) -> Database:
    database = world.database
    for bytes_ in batch:
        row = holder(database, bytes_.nonce)
        if Guard.COMPARE_AND_SET not in engine.config.guards:
            database = _overwritten(database, bytes_)
            continue
        if row is None or row.operation != bytes_.operation or row.status is not Status.APPROVED:
            raise Impossible("its row is not the one that was allocated")
        versions = (*row.versions, bytes_.version)
        database = engine.tables.transaction(database, row, TransactionFact.STORED, versions=versions)
        database = engine.tables.operations(database, paid_by(bytes_.operation), OperationFact.SIGNED)
    return database


def _overwritten(database: Database, bytes_: Bytes) -> Database:
    """Return the database after bytes were stored whatever became of their row."""
    row = holder(database, bytes_.nonce)
    stored = new_row(bytes_.nonce, bytes_.operation)._replace(status=Status.SIGNED, versions=(bytes_.version,))
    return replace_rows(database, {} if row is None else {row: None}, [stored])


def _broadcast(engine: Engine, world: World, place: int, leader: Leader) -> Iterator[Step]:
    """Send stored bytes, lowest nonce first, up to the first that no node takes; or a network that loses all of them."""
    after, reached = world, list[Bytes]()
    for bytes_ in leader.batch:
        after = engine.sent(after, bytes_)
        if not is_known(after, bytes_):
            break
        reached.append(bytes_)
    done = leader._replace(phase=Phase.SENT if reached else Phase.IDLE, batch=tuple(reached))
    if Guard.STORE_BEFORE_BROADCAST not in engine.config.guards:
        done = leader._replace(phase=Phase.ALLOCATED)
    yield ("broadcast", leader.batch), put(after, place, done)
    if Feature.LOST_BROADCAST in engine.config.features:
        yield ("lose_broadcast", leader.batch), put(world, place, leader._replace(phase=Phase.IDLE, batch=()))


def _record(engine: Engine, world: World, place: int, leader: Leader) -> World:
    """Record that nodes have the bytes; a row that moved meanwhile is left as it is."""
    database = world.database
    for bytes_ in leader.batch:
        database = engine.reached(database, bytes_)
    return put(world._replace(database=database), place, leader._replace(phase=Phase.IDLE, batch=()))
