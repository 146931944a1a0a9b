"""Whose turn it is, what a check objects to, and what is checked again."""

from collections.abc import Iterator

from tests.support.sender_model.engine import Engine, Step, is_known, own_transaction, paid_through_contract
from tests.support.sender_model.rules import Feature, Guard
from tests.support.sender_model.state import (
    Bytes,
    Database,
    Known,
    Operation,
    Row,
    Unmatched,
    Wait,
    World,
    holder,
    paid_by,
)
from tests.support.sender_model.tables import Impossible
from treasury.core.facts import OperationFact
from treasury.core.status import IN_FLIGHT, Status
from treasury.transactions.model import PaymentOutcome

_FAILED = frozenset({Status.CANCELLED, Status.REVERTED})
_QUEUED = frozenset({Status.PLANNED, Status.APPROVED})
_WAITING = frozenset({Status.APPROVED, Status.HELD})
_ACTIVE = _WAITING | IN_FLIGHT


def queue(engine: Engine, world: World, *, stopped: bool) -> list[int]:
    """Return the operations that may be signed next, in this order: a panic alone, payouts, or the first sweep."""
    kinds, database = engine.config.kinds, world.database
    by_kind: dict[str, list[int]] = {"payout": [], "sweep": [], "panic": []}
    for index in database.order:
        operation = database.operations[index]
        if operation is not None and _is_queued(kinds[index], operation) and not has_nonce(database, index):
            by_kind[kinds[index]].append(index)
    if any(is_active_panic(engine, database, index) for index in range(len(kinds))):
        in_flight = any(row.status in IN_FLIGHT for row in database.rows)
        return [] if in_flight else by_kind["panic"][:1]
    if stopped:
        return []
    return by_kind["payout"] or by_kind["sweep"][:1]


def _is_queued(kind: str, operation: Operation) -> bool:
    if kind != "payout":
        return operation.status in _WAITING
    return operation.status in _QUEUED or operation.wait is Wait.OBJECTION


def is_active_panic(engine: Engine, database: Database, index: int) -> bool:
    """Return whether an approved panic is not over yet."""
    operation = database.operations[index]
    return engine.config.kinds[index] == "panic" and operation is not None and operation.status in _ACTIVE


def has_nonce(database: Database, index: int) -> bool:
    """Return whether a transaction carries the operation out now."""
    return any(row.carries_out(index) for row in database.rows)


def objection(engine: Engine, world: World, index: int) -> Wait | None:
    """Return why an operation must not be signed now."""
    database, guards = world.database, engine.config.guards
    rows = [row for row in database.rows if row.was_made_for(index)]
    used = any(entry.operation == index and not _is_matched_batch(database, entry) for entry in database.unmatched)
    if Guard.USED_REFERENCES in guards and (used or any(_uses(row, index) for row in database.rows)):
        return Wait.REFERENCE_SPENT
    if Guard.PROVED_DEAD in guards and not all(_is_dead(world, row, index) for row in rows):
        return Wait.NOT_PROVED_DEAD
    if engine.config.batch and Guard.PAID_IS_ASKED in guards and index in paid_through_contract(world):
        return Wait.REFERENCE_SPENT
    return None


def _is_matched_batch(database: Database, entry: Unmatched) -> bool:
    """Return whether it is a batch whose payments have owners; its own rows show which references it uses."""
    row = holder(database, entry.nonce)
    return entry.known is Known.MATCHED and row is not None and bool(row.payments)


def _uses(row: Row, index: int) -> bool:
    """Return whether a transaction that was mined, or may be, carries the operation's reference; a payment that was not made does not."""
    if row.status in _FAILED:
        return False
    if not row.payments:
        return row.operation == index
    return any(
        payment.operation == index and payment.outcome in {None, PaymentOutcome.PAID} for payment in row.payments
    )


def _is_dead(world: World, row: Row, index: int) -> bool:
    """Return whether the nonce is used, and each signature failed on the chain or is unknown to every node.

    A batch is dead for an operation whose payment the token refused.
    """
    if row.status is not Status.CANCELLED and row.nonce >= len(world.chain):
        return False
    mined = own_transaction(world, row)
    if mined is not None and mined.outcomes:
        return mined.outcomes[paid_by(row.operation).index(index)] is PaymentOutcome.FAILED
    if mined is not None:
        return not mined.succeeded
    return not any(is_known(world, Bytes(row.nonce, row.operation, version)) for version in row.versions)


def holds(engine: Engine, world: World) -> Iterator[Step]:
    """Yield what the checks may do before anything has a nonce: hold, ask for approval, let queue again."""
    database = world.database
    for index, operation in enumerate(database.operations):
        if operation is None or has_nonce(database, index):
            continue
        if operation.wait is Wait.NOT_PROVED_DEAD and objection(engine, world, index) is None:
            yield from _apply(engine, world, "queue_again", index, OperationFact.READY, None)
        elif operation.wait in {None, Wait.OBJECTION} and Feature.HOLDS in engine.config.features:
            if operation.wait is None:
                yield from _apply(engine, world, "hold", index, OperationFact.HELD, Wait.OBJECTION)
            yield from _apply(engine, world, "hold", index, OperationFact.HELD, Wait.SCREENING)
            yield from _apply(engine, world, "ask_approval", index, OperationFact.APPROVAL_REQUIRED, Wait.APPROVAL)


def _apply(
    engine: Engine, world: World, name: str, index: int, fact: OperationFact, wait: Wait | None
) -> Iterator[Step]:
    try:
        after = engine.tables.operation(world.database, index, fact, wait)
    except Impossible:
        return
    if after != world.database:
        label = (name, index) if wait is None else (name, index, wait)
        yield label, world._replace(database=after)
