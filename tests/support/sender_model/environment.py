"""What happens around the service: purchases, the chain and its nodes, faults, restores, and persons."""

from collections.abc import Iterator

from tests.support.sender_model import batches, persons
from tests.support.sender_model.cycle import declared
from tests.support.sender_model.engine import Engine, Step, paid_through_contract
from tests.support.sender_model.rules import Fault, Feature, Guard
from tests.support.sender_model.state import (
    STRANGER,
    Bytes,
    Database,
    Mined,
    Operation,
    Phase,
    World,
    is_batch,
    paid_by,
)
from treasury.core.status import Status


def steps(engine: Engine, world: World) -> Iterator[Step]:
    """Yield what may happen next outside the service's processes."""
    yield from _purchases(engine, world)
    yield from _blocks(engine, world)
    yield from _nodes(engine, world)
    yield from _database(engine, world)
    yield from persons.steps(engine, world)


def _purchases(engine: Engine, world: World) -> Iterator[Step]:
    """A purchase is completed, in the order of the operations; or one that the database lost is rebuilt from Stripe."""
    operations = world.database.operations
    for index, operation in enumerate(operations):
        is_rebuilt = world.life and engine.config.kinds[index] == "payout"
        if operation is None and (is_rebuilt or (not world.life and all(operations[:index]))):
            entry = Operation(Status.PLANNED)
            rows = (*operations[:index], entry, *operations[index + 1 :])
            after = world.database._replace(operations=rows, order=(*world.database.order, index))
            yield ("owe", index), world._replace(database=after)
            if not world.life:
                return


def _blocks(engine: Engine, world: World) -> Iterator[Step]:
    for bytes_ in world.wild:
        if bytes_.nonce == len(world.chain):
            yield ("mine", bytes_), mined(engine, world, bytes_)
            for index in paid_by(bytes_.operation) if is_batch(bytes_.operation) else ():
                if engine.left(world, Fault.REFUSAL) and index not in paid_through_contract(world):
                    refused = mined(engine, engine.spend(world, Fault.REFUSAL), bytes_, refused=index)
                    yield ("mine_refused", bytes_, index), refused
            if engine.left(world, Fault.FAILURE) and bytes_.operation >= 0:
                failed = mined(engine, engine.spend(world, Fault.FAILURE), bytes_, succeeded=False)
                yield ("mine_failed", bytes_), failed
    if engine.left(world, Fault.STRANGER):
        bytes_ = Bytes(len(world.chain), STRANGER, 0)
        yield ("stranger", len(world.chain)), mined(engine, engine.spend(world, Fault.STRANGER), bytes_)
    if engine.left(world, Fault.REORG) and world.chain and _may_be_replaced(world):
        yield ("reorg", len(world.chain) - 1), reorganised(engine, world)


def mined(engine: Engine, world: World, bytes_: Bytes, *, succeeded: bool = True, refused: int | None = None) -> World:
    """Return the world with a transaction in a block. Other bytes for its nonce are dead, unless the block may still be replaced.

    `refused`: the operation whose payment the token refuses.
    """
    outcomes = batches.outcomes(engine, world, bytes_.operation, refused) if succeeded else ()
    entry = Mined(bytes_.operation, bytes_.version, succeeded, world.branch, outcomes)
    keep = len(world.chain) - (1 if engine.left(world, Fault.REORG) else 0)
    return world._replace(
        chain=(*world.chain, entry),
        memory=frozenset(other for other in world.memory if other.nonce > bytes_.nonce),
        wild=frozenset(
            other for other in world.wild if other.nonce > keep or (other.nonce == keep and keep < len(world.chain))
        ),
    )


def _may_be_replaced(world: World) -> bool:
    """Bound: a failed transaction is not replaced once its operation has another nonce. See the decision record."""
    last = world.chain[-1]
    if last.succeeded:
        return last.operation != STRANGER
    return not any(
        row.carries_out(index) and row.nonce >= len(world.chain)
        for row in world.database.rows
        for index in paid_by(last.operation)
    )


def reorganised(engine: Engine, world: World) -> World:
    """Return the world whose newest block was replaced by one without the wallet's transaction, which waits again."""
    last = world.chain[-1]
    bytes_ = Bytes(len(world.chain) - 1, last.operation, last.version)
    after = engine.spend(world, Fault.REORG)
    return after._replace(
        chain=world.chain[:-1], branch=world.branch + 1, memory=frozenset(), wild=world.wild | {bytes_}
    )


def _nodes(engine: Engine, world: World) -> Iterator[Step]:
    if Feature.FORGET not in engine.config.features:
        return
    if world.memory:
        yield ("forget",), world._replace(memory=frozenset())
    for bytes_ in world.wild:
        if bytes_ not in world.memory:
            after = engine.sent(world, bytes_)
            if after != world:
                yield ("repeat", bytes_), after


def _database(engine: Engine, world: World) -> Iterator[Step]:
    """Take the backup that a later fault brings back; or bring it back."""
    may_go_back = engine.left(world, Fault.RESTORE) or engine.left(world, Fault.FAILOVER)
    if may_go_back and world.backup is None and (world.database.lease or any(world.database.operations)):
        yield ("back_up",), world._replace(backup=world.database)
    before = world.backup or Database((None,) * len(engine.config.kinds))
    if before == world.database:
        return
    if engine.left(world, Fault.RESTORE):
        database = before
        if Guard.EMPTY_TRANSFERS in engine.config.guards:
            database = declared(database, engine.config.depth)
        after = engine.spend(world, Fault.RESTORE)._replace(leaders=(None, None))
        yield ("restore", before.operations), after._replace(database=database, backup=None, life=world.life + 1)
    if engine.left(world, Fault.FAILOVER):
        after = engine.spend(world, Fault.FAILOVER)
        if Feature.OUTLIVED not in engine.config.features:
            idle = [entry if entry and entry.phase is Phase.IDLE else None for entry in world.leaders]
            after = after._replace(leaders=(idle[0], idle[1]))
        yield ("failover", before.operations), after._replace(database=before, backup=None, life=world.life + 1)
