"""What persons decide. Two of them where the code asks for two; the model counts them as one step."""

from collections.abc import Iterator

from tests.support.sender_model.engine import Engine, Step
from tests.support.sender_model.rules import Feature
from tests.support.sender_model.state import Known, Operation, Wait, World
from tests.support.sender_model.tables import Impossible, replace_rows
from treasury.core.facts import OperationFact
from treasury.core.status import Status

FAILED = {Status.REVERTED, Status.REJECTED}


def steps(engine: Engine, world: World) -> Iterator[Step]:
    """Yield what persons may do next."""
    yield from _resolve(world)
    for index, operation in enumerate(world.database.operations):
        if operation is None:
            continue
        if engine.config.kinds[index] != "payout":
            if operation.status is Status.PLANNED:
                yield from _apply(engine, world, "propose", index, OperationFact.APPROVAL_REQUIRED)
            yield from _apply(engine, world, "approve", index, OperationFact.APPROVED)
        elif operation.status in FAILED:
            yield from _apply(engine, world, "retry", index, OperationFact.RETRIED)
        if Feature.PERSONS in engine.config.features:
            yield from _decide(engine, world, index, operation)


def _resolve(world: World) -> Iterator[Step]:
    """Two persons take responsibility for a transaction that no row explains, rightly or not."""
    for entry in world.database.unmatched:
        if entry.known is Known.OPEN:
            entries = tuple(
                other._replace(known=Known.RESOLVED) if other == entry else other for other in world.database.unmatched
            )
            yield ("resolve", entry.nonce), world._replace(database=world.database._replace(unmatched=entries))


def _decide(engine: Engine, world: World, index: int, operation: Operation) -> Iterator[Step]:
    has_nonce = any(row.carries_out(index) for row in world.database.rows)
    if operation.status is Status.AWAITING_APPROVAL and engine.config.kinds[index] == "payout":
        yield from _apply(engine, world, "approve", index, OperationFact.APPROVED)
    if operation.wait is Wait.SCREENING:
        yield from _apply(engine, world, "clear", index, OperationFact.CLEARED)
        yield from _apply(engine, world, "delist", index, OperationFact.DELISTED)
    if not has_nonce:
        yield from _apply(engine, world, "reject", index, OperationFact.REJECTED)
    if engine.config.kinds[index] != "payout":
        yield from _apply(engine, world, "lapse", index, OperationFact.LAPSED)
    elif operation.status in FAILED:
        yield from _apply(engine, world, "close", index, OperationFact.CLOSED)
        yield from _apply(engine, world, "settle", index, OperationFact.SETTLED)


def _apply(engine: Engine, world: World, name: str, index: int, fact: OperationFact) -> Iterator[Step]:
    try:
        database = engine.tables.operation(world.database, index, fact, settled=fact is OperationFact.SETTLED)
    except Impossible:
        return
    if fact is OperationFact.RETRIED:
        database = replace_rows(database, {row: row.without(index) for row in database.rows})
    yield (name, index), world._replace(database=database)
