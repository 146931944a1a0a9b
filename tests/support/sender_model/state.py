"""The state of the model: one hot wallet's chain, the nodes' memory, the database with a backup, and two processes that may lead.

Every part is an immutable tuple, so that a state is a key of a dictionary. Operations are numbered by age: 0 was owed first. A batch, which
pays several operations through PayOnce, has a number of its own (`batch_of`).
"""

from enum import StrEnum, auto
from functools import cache
from typing import NamedTuple

from treasury.core.status import Status
from treasury.transactions.model import PaymentOutcome

NOTHING = -1
"""The operation of an empty transfer to the wallet itself, which only spends its nonce."""
STRANGER = -2
"""The operation of a transaction that someone else signed with the wallet's key."""
UNDECIDED = -1
"""The branch of a transaction that the database has not seen in a block."""
NO_LEASE = 0
_FIRST_BATCH = 64
_BASE = 8


@cache
def batch_of(operations: tuple[int, ...]) -> int:
    """Return the number of the batch that pays these operations in this order."""
    number = 0
    for index in reversed(operations):
        number = number * _BASE + index + 1
    return _FIRST_BATCH + number


@cache
def paid_by(number: int) -> tuple[int, ...]:
    """Return the operations that a transaction pays: those of a batch in its order, one, or none."""
    if number < _FIRST_BATCH:
        return (number,) if number >= 0 else ()
    operations, rest = [], number - _FIRST_BATCH
    while rest:
        operations.append(rest % _BASE - 1)
        rest //= _BASE
    return tuple(operations)


def is_batch(number: int) -> bool:
    """Return whether a number is that of a batch."""
    return number >= _FIRST_BATCH


class Bytes(NamedTuple):
    """A signed transaction. `version` distinguishes signatures for the same operation and nonce by their fee."""

    nonce: int
    operation: int
    version: int


class Mined(NamedTuple):
    """The transaction that used a nonce. `branch` counts the reorganisations before its block.

    `outcomes`: what PayOnce did with each payment of a batch that succeeded, in their order.
    """

    operation: int
    version: int
    succeeded: bool
    branch: int
    outcomes: tuple[PaymentOutcome, ...] = ()


class Claim(StrEnum):
    """Whose a payment of a batch is, as the database knows."""

    NONE = auto()
    """No payout that is known here."""
    EARLIER = auto()
    """Its payout's, which another transaction carries out now, or none."""
    CURRENT = auto()
    """Its payout's, whose row names the batch as the transaction that carries it out."""


class Payment(NamedTuple):
    """A row of `batch_payments`."""

    operation: int
    claim: Claim = Claim.CURRENT
    outcome: PaymentOutcome | None = None


class Row(NamedTuple):
    """A row of `treasury_transactions`.

    `is_current`: its operation's row names it as the transaction that carries it out; or it is an empty transfer of the open restore.
    A batch has that for each of its `payments`.
    """

    nonce: int
    operation: int
    status: Status
    versions: tuple[int, ...] = ()
    branch: int = UNDECIDED
    is_current: bool = True
    payments: tuple[Payment, ...] = ()

    def carried(self) -> tuple[int, ...]:
        """Return the operations whose rows name this transaction, or the one that a transfer was made for."""
        if not self.payments:
            return paid_by(self.operation)
        return tuple(payment.operation for payment in self.payments if payment.claim is Claim.CURRENT)

    def carries_out(self, index: int) -> bool:
        """Return whether an operation's row names this transaction."""
        if not self.payments:
            return self.operation == index and self.is_current
        return any(payment.operation == index and payment.claim is Claim.CURRENT for payment in self.payments)

    def was_made_for(self, index: int) -> bool:
        """Return whether it is known as a transaction of this operation, of now or of earlier."""
        if not self.payments:
            return self.operation == index
        return any(payment.operation == index and payment.claim is not Claim.NONE for payment in self.payments)

    def without(self, index: int) -> "Row":
        """Return the row after another transaction, or none, carries the operation out."""
        if not self.payments:
            return self._replace(is_current=False) if self.operation == index else self
        payments = [
            payment._replace(claim=Claim.EARLIER)
            if payment.operation == index and payment.claim is Claim.CURRENT
            else payment
            for payment in self.payments
        ]
        return self._replace(payments=tuple(payments))


class Wait(StrEnum):
    """Why an operation waits, as far as the model distinguishes reasons."""

    OBJECTION = auto()
    """A check objects for now: funds, fee, Stripe, a pause."""
    SCREENING = auto()
    """Its recipient is on the sanctions list."""
    REFERENCE_SPENT = auto()
    NOT_PROVED_DEAD = auto()
    APPROVAL = auto()


class Operation(NamedTuple):
    """A row of `payouts` or `sweeps`. `settled`: persons recorded another proven payment."""

    status: Status
    wait: Wait | None = None
    settled: bool = False


class Known(StrEnum):
    """What is known of an unmatched transaction."""

    OPEN = auto()
    MATCHED = auto()
    RESOLVED = auto()


class Unmatched(NamedTuple):
    """A row of `unmatched_transactions`. That of a batch shows the first payment that belongs to no payout."""

    nonce: int
    operation: int
    version: int
    known: Known = Known.OPEN


class Database(NamedTuple):
    """All rows that the sender reads. `lease` identifies the process that leads: owner and fencing token.

    `order`: the operations in the order in which their rows were made. `restore`: how many nonces in a row the open restore spends; 0 if none is open.
    """

    operations: tuple[Operation | None, ...]
    rows: tuple[Row, ...] = ()
    unmatched: tuple[Unmatched, ...] = ()
    lease: int = NO_LEASE
    restore: int = 0
    order: tuple[int, ...] = ()


class Phase(StrEnum):
    """Where a leader's step stands, between two writes or beside an effect that others can see."""

    IDLE = auto()
    ALLOCATED = auto()
    """Nonces are allocated; nothing is stored."""
    STORED = auto()
    """The bytes are stored and not broadcast."""
    SENT = auto()
    """Nodes have the bytes, and the database does not say so."""


class Leader(NamedTuple):
    """A process that became the leader.

    `batch`: the bytes it works on. `has_asked`: the nodes were asked for unknown bytes. `stored`: the highest nonce for which it stored
    bytes.
    """

    lease: int
    phase: Phase = Phase.IDLE
    batch: tuple[Bytes, ...] = ()
    has_asked: bool = False
    stored: int = -1


class World(NamedTuple):
    """A state of everything. `memory`: what the nodes that the service asks keep. `wild`: all bytes that ever left the service and may
    still be mined, because some node may keep them. `life`: how often the database was put back. `faults`: how many of each remain.
    """

    database: Database
    chain: tuple[Mined, ...] = ()
    memory: frozenset[Bytes] = frozenset()
    wild: frozenset[Bytes] = frozenset()
    leaders: tuple[Leader | None, Leader | None] = (None, None)
    backup: Database | None = None
    branch: int = 0
    life: int = 0
    faults: tuple[int, ...] = ()


def holder(database: Database, nonce: int) -> Row | None:
    """Return the row that holds a nonce; a displaced one has given it up."""
    return next((row for row in database.rows if row.nonce == nonce and row.status is not Status.CANCELLED), None)


def next_nonce(database: Database) -> int:
    """Return one above the highest nonce that is used or allocated."""
    held = [row.nonce for row in database.rows if row.status is not Status.CANCELLED]
    return 1 + max([*held, *(entry.nonce for entry in database.unmatched)], default=-1)
