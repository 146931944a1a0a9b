"""Batches of payments through PayOnce: what the contract does with each payment, and what the leader records of it."""

from tests.support.sender_model.engine import Engine, paid_through_contract
from tests.support.sender_model.rules import Guard
from tests.support.sender_model.state import (
    UNDECIDED,
    Claim,
    Database,
    Mined,
    Operation,
    Payment,
    Row,
    World,
    is_batch,
    paid_by,
)
from tests.support.sender_model.tables import replace_rows
from treasury.core.facts import OperationFact
from treasury.core.status import Status
from treasury.transactions.model import PaymentOutcome
from treasury.transactions.states import TransactionFact

_WAITING = frozenset({Status.APPROVED, Status.HELD})


def outcomes(engine: Engine, world: World, batch: int, refused: int | None = None) -> tuple[PaymentOutcome, ...]:
    """Return what PayOnce does with each payment of a batch if the token refuses the operation `refused`; nothing for another transaction."""
    if not is_batch(batch):
        return ()
    paid = paid_through_contract(world) if Guard.PAID_ONCE in engine.config.guards else set()
    return tuple(
        PaymentOutcome.PAID_BEFORE
        if index in paid
        else PaymentOutcome.FAILED
        if index == refused
        else PaymentOutcome.PAID
        for index in paid_by(batch)
    )


def decided(engine: Engine, database: Database, row: Row, mined: Mined) -> Database:
    """Record what the chain shows of each payment of a batch that succeeded. Raises Impossible."""
    payments = tuple(
        payment._replace(outcome=outcome) for payment, outcome in zip(row.payments, mined.outcomes, strict=True)
    )
    facts = (TransactionFact.MINED, TransactionFact.PROVEN)
    database = engine.tables.transaction(database, row, *facts, branch=mined.branch, payments=payments)
    for payment in payments:
        if payment.claim is Claim.CURRENT:
            database = _settled(engine, database, payment)
    return database


def _settled(engine: Engine, database: Database, payment: Payment) -> Database:
    """Move one payout by what became of its payment; one in a status that no step gives it keeps that."""
    operation = database.operations[payment.operation]
    if operation is None:
        return database
    is_paid = payment.outcome is PaymentOutcome.PAID or _counts_as_paid(engine, payment)
    fact = OperationFact.MINED if is_paid else OperationFact.REVERTED
    if (not is_paid and operation.status is Status.REVERTED) or engine.tables.refuses(
        payment.operation, operation, fact
    ):
        return database
    database = engine.tables.operation(database, payment.operation, fact)
    return engine.tables.operation(database, payment.operation, OperationFact.PROVEN) if is_paid else database


def _counts_as_paid(engine: Engine, payment: Payment) -> bool:
    needed = {
        PaymentOutcome.FAILED: Guard.REFUSED_IS_UNPAID,
        PaymentOutcome.PAID_BEFORE: Guard.PAID_BEFORE_IS_NOT_NOW,
    }
    return payment.outcome is not None and needed.get(payment.outcome, Guard.PAID_ONCE) not in engine.config.guards


def taken_back(engine: Engine, database: Database, row: Row) -> Database | None:
    """Return the database after a batch's block was replaced; None if its bytes must not be broadcast again. Raises Impossible."""
    claimed = [payment.operation for payment in row.payments if payment.claim is not Claim.NONE]
    known = {index: operation for index in claimed if (operation := database.operations[index]) is not None}
    owed = [index for index, operation in known.items() if _is_still_owed(database, row, index, operation)]
    if row.status is Status.REVERTED and len(owed) < len(known):
        return None
    payments = tuple(
        payment._replace(outcome=None, claim=Claim.CURRENT if payment.operation in owed else payment.claim)
        for payment in row.payments
    )
    reorged = TransactionFact.REORGED
    after = engine.tables.transaction(database, row, reorged, branch=UNDECIDED, payments=payments)
    for index, operation in known.items():
        if index in owed:
            after = engine.tables.operation(after, index, OperationFact.ADOPTED)
        elif row.carries_out(index) and operation.status in {Status.MINED, Status.FINAL}:
            after = engine.tables.operation(after, index, OperationFact.REORGED)
    return after


def _is_still_owed(database: Database, row: Row, index: int, operation: Operation) -> bool:
    """Return whether the batch is the last transaction of a failed payment, or nothing was signed for another attempt since."""
    if row.carries_out(index):
        return operation.status is Status.REVERTED
    return operation.status in _WAITING and not any(other.carries_out(index) for other in database.rows)


def adopted(engine: Engine, database: Database, nonce: int, mined: Mined) -> Database:
    """Return the database with a batch found on chain, its payments given to the payouts that are known. Raises Impossible."""
    payments = tuple(Payment(index, Claim.NONE) for index in paid_by(mined.operation))
    row = Row(nonce, mined.operation, Status.BROADCAST, (mined.version,), payments=payments)
    database = claimed(engine, replace_rows(database, {}, [row]), row)
    if Guard.UNCLAIMED_PAYMENTS in engine.config.guards:
        return database
    row = next(entry for entry in database.rows if (entry.nonce, entry.status) == (nonce, Status.BROADCAST))
    known = tuple(
        payment if payment.claim is not Claim.NONE else payment._replace(outcome=PaymentOutcome.FAILED)
        for payment in row.payments
    )
    return replace_rows(database, {row: row._replace(payments=known)})


def claimed(engine: Engine, database: Database, row: Row) -> Database:
    """Return the database after each payment of the batch that belongs to no payout was given to its payout, if that is known."""
    for payment in unclaimed(row):
        operation = database.operations[payment.operation]
        if operation is None or engine.tables.refuses(payment.operation, operation, OperationFact.ADOPTED):
            continue
        given = tuple(
            entry._replace(claim=Claim.CURRENT) if entry.operation == payment.operation else entry
            for entry in row.payments
        )
        after = row._replace(payments=given)
        others = {other: other.without(payment.operation) for other in database.rows if other != row}
        database = replace_rows(database, {**others, row: after})
        database = engine.tables.operation(database, payment.operation, OperationFact.ADOPTED)
        if row.status is Status.FINAL:
            for fact in (OperationFact.MINED, OperationFact.PROVEN):
                database = engine.tables.operation(database, payment.operation, fact)
        row = after
    return database


def unclaimed(row: Row) -> list[Payment]:
    """Return the payments that moved, or may have moved, tokens for no payout that is known here."""
    if row.status is Status.REVERTED:
        return []
    return [
        payment
        for payment in row.payments
        if payment.claim is Claim.NONE and payment.outcome in {None, PaymentOutcome.PAID}
    ]
