"""What must hold in every state, and in every step."""

from tests.support.sender_model.engine import Engine, Label, own_transaction
from tests.support.sender_model.state import STRANGER, Known, Mined, World, is_batch, paid_by
from treasury.core.status import Status
from treasury.transactions.model import PaymentOutcome

PAID_ONCE = "each reference is paid at most once"
ONE_OPERATION = "no nonce is held for two operations"
FINAL_IS_MINED = "final implies on the chain"
STRANGER_STOPS = "after someone else used the key, nothing is signed until it is explained"
STILL_PAYABLE = "every owed operation can still be paid"

_OVER = {Status.FINAL, Status.CANCELLED}


def broken(engine: Engine, before: World, label: Label, world: World) -> str | None:
    """Return the invariant that the step to `world` breaks; None if all hold."""
    paid = [index for mined in world.chain for index in moved(mined)]
    if len(paid) != len(set(paid)):
        return PAID_ONCE
    database = world.database
    held = [row.nonce for row in database.rows if row.status is not Status.CANCELLED]
    if len(held) != len(set(held)):
        return ONE_OPERATION
    if world.database is not before.database and not _final_is_mined(world):
        return FINAL_IS_MINED
    if label[0] == "allocate" and not _is_explained(before):
        return STRANGER_STOPS
    return None


def moved(mined: Mined) -> tuple[int, ...]:
    """Return the operations for which a transaction moved the token."""
    if not mined.succeeded:
        return ()
    if not is_batch(mined.operation):
        return paid_by(mined.operation)
    pairs = zip(paid_by(mined.operation), mined.outcomes, strict=True)
    return tuple(index for index, outcome in pairs if outcome is PaymentOutcome.PAID)


def _final_is_mined(world: World) -> bool:
    """A final row is on the chain and moved the token, unless its block was replaced and no leader has looked since."""
    final = set[int]()
    for row in world.database.rows:
        if row.status is Status.FINAL:
            mined = own_transaction(world, row)
            is_proved = mined is not None and mined.branch == row.branch
            final.update(moved(mined) if mined is not None and is_proved else paid_by(row.operation))
            if mined is None and row.branch == world.branch:
                return False
    return all(
        operation is None or operation.status is not Status.FINAL or operation.settled or index in final
        for index, operation in enumerate(world.database.operations)
    )


def _is_explained(world: World) -> bool:
    """Return whether each transaction of a stranger is recorded, and persons have resolved it."""
    resolved = {entry.nonce for entry in world.database.unmatched if entry.known is not Known.OPEN}
    return all(mined.operation != STRANGER or nonce in resolved for nonce, mined in enumerate(world.chain))


def is_settled(engine: Engine, world: World) -> bool:
    """Return whether every operation is on the chain, recorded as final, or closed by persons."""
    for index, operation in enumerate(world.database.operations):
        if engine.config.kinds[index] != "payout":
            continue
        if operation is None or operation.status not in _OVER:
            return False
        if operation.status is Status.FINAL and not operation.settled:
            rows = [row for row in world.database.rows if row.carries_out(index) and row.status is Status.FINAL]
            if not any(mined and index in moved(mined) for mined in (own_transaction(world, row) for row in rows)):
                return False
    return True
