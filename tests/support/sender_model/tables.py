"""Statuses move through the code's own transition tables only; each transition that a run takes is noted."""

from collections.abc import Iterable
from typing import Any

from kit.state import Refused, decide
from tests.support.sender_model.state import Database, Operation, Row, Wait
from treasury.core.facts import OperationFact
from treasury.core.status import Moves, Status
from treasury.payouts.states import MOVES as PAYOUT_MOVES
from treasury.sweeps.states import MOVES as SWEEP_MOVES
from treasury.transactions.states import MOVES as TRANSACTION_MOVES
from treasury.transactions.states import TransactionFact

TABLES: dict[str, Moves[Status]] = {
    "payout": PAYOUT_MOVES,
    "sweep": SWEEP_MOVES,
    "transaction": TRANSACTION_MOVES,
}
Edge = tuple[str, str, Status]
"""A transition: table, fact, and the status before."""


class Impossible(Exception):
    """A table refuses the fact. The step's database transaction does not commit."""


def all_edges(table: str) -> set[Edge]:
    """Return every transition of a table."""
    return {(table, str(fact), state) for fact, moves in TABLES[table].items() for state in moves}


class Tables:
    """Applies facts to rows, and notes which transitions were taken."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        self._tables = tuple("payout" if kind == "payout" else "sweep" for kind in kinds)
        self.taken: set[Edge] = set()

    def _to(self, table: str, state: Status, fact: str) -> Status:
        decision = decide(TABLES[table], state, fact)
        if isinstance(decision, Refused):
            raise Impossible(decision.reason)
        self.taken.add((table, str(fact), state))
        return decision.to

    def operations(self, database: Database, indexes: Iterable[int], fact: OperationFact) -> Database:
        """Apply a fact to each of these operations. Raises Impossible."""
        for index in indexes:
            database = self.operation(database, index, fact)
        return database

    def refuses(self, index: int, operation: Operation, fact: OperationFact) -> bool:
        """Return whether the fact is impossible in the operation's status."""
        return isinstance(decide(TABLES[self._tables[index]], operation.status, fact), Refused)

    def operation(
        self, database: Database, index: int, fact: OperationFact, wait: Wait | None = None, *, settled: bool = False
    ) -> Database:
        """Apply a fact to an operation; nothing happens for the operation of a transfer of nothing. Raises Impossible."""
        if index < 0:
            return database
        before = database.operations[index]
        if before is None:
            raise Impossible("it does not exist")
        after = Operation(self._to(self._tables[index], before.status, fact), wait, settled)
        return database._replace(
            operations=(*database.operations[:index], after, *database.operations[index + 1 :]),
        )

    def transaction(self, database: Database, row: Row, *facts: TransactionFact, **values: Any) -> Database:
        """Apply facts to a transaction one after the other, and set `values` with the last. Raises Impossible."""
        status = row.status
        for fact in facts:
            status = self._to("transaction", status, fact)
        return replace_rows(database, {row: row._replace(status=status, **values)})


def replace_rows(database: Database, changes: dict[Row, Row | None], added: Iterable[Row] = ()) -> Database:
    """Return the database with some rows changed (None: without them) and others added, in a canonical order."""
    rows = [changes.get(row, row) for row in database.rows]
    return database._replace(rows=tuple(sorted([*(row for row in rows if row is not None), *added])))
