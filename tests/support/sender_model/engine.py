"""What all steps share: bounds, effects on nodes and rows, and the canonical form of a state."""

from tests.support.sender_model.rules import Config, Fault, Guard
from tests.support.sender_model.state import (
    NO_LEASE,
    Bytes,
    Database,
    Leader,
    Mined,
    Payment,
    Phase,
    Row,
    World,
    holder,
    is_batch,
    paid_by,
)
from tests.support.sender_model.tables import Impossible, Tables
from treasury.core.facts import OperationFact
from treasury.core.status import IN_FLIGHT, Status
from treasury.transactions.model import PaymentOutcome
from treasury.transactions.states import TransactionFact

Label = tuple[object, ...]
"""The name of a step and what it concerns; `sentences` says it in words."""
Step = tuple[Label, World]
_FAULTS = tuple(Fault)


class Engine:
    """One run: its configuration and the transition tables."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.tables = Tables(config.kinds)

    def initial(self) -> World:
        """Return the state before the first purchase."""
        faults = tuple(self.config.faults.get(fault, 0) for fault in _FAULTS)
        return World(Database((None,) * len(self.config.kinds)), faults=faults)

    def left(self, world: World, fault: Fault) -> int:
        """Return how often a fault may still happen."""
        return world.faults[_FAULTS.index(fault)]

    def spend(self, world: World, fault: Fault) -> World:
        """Count a fault."""
        place = _FAULTS.index(fault)
        return world._replace(faults=(*world.faults[:place], world.faults[place] - 1, *world.faults[place + 1 :]))

    def sent(self, world: World, bytes_: Bytes) -> World:
        """Give bytes to the nodes. Those that the service asks keep one transaction for each nonce, without gaps; another may keep any."""
        if bytes_.nonce < len(world.chain):
            return world
        waiting = len(world.chain)
        kept = {entry.nonce for entry in world.memory}
        while waiting in kept:
            waiting += 1
        memory = world.memory
        if bytes_.nonce == waiting < len(world.chain) + self.config.depth:
            memory |= {bytes_}
        return world._replace(memory=memory, wild=world.wild | {bytes_})

    def reached(self, database: Database, bytes_: Bytes) -> Database:
        """Record that a node has the bytes of a row that is `signed`."""
        row = holder(database, bytes_.nonce)
        if row is None or row.operation != bytes_.operation or row.status is not Status.SIGNED:
            return database
        try:
            moved = self.tables.transaction(database, row, TransactionFact.BROADCAST)
            return self.tables.operations(moved, row.carried(), OperationFact.BROADCAST)
        except Impossible:
            return database

    def canonical(self, world: World) -> World:
        """Return the representative of all states that differ by names only: which process is which, and how leases are numbered."""
        if world.leaders == (None, None) and not world.database.lease and world.backup is None:
            return world
        fenced = Guard.FENCING in self.config.guards
        database, backup = world.database, world.backup
        leaders = [
            leader
            for leader in world.leaders
            if leader and not (fenced and leader.phase is Phase.IDLE and leader.lease != database.lease)
        ]
        leaders.sort(key=lambda leader: (leader.lease != database.lease, leader.phase.value, leader.batch))
        names = {leader.lease: number for number, leader in enumerate(leaders, start=1)}
        # Most states have their names already, and making them anew took a fifth of an exploration.
        if database.lease != (lease := names.get(database.lease, NO_LEASE)):
            database = database._replace(lease=lease)
        if backup is not None and backup.lease != (lease := names.get(backup.lease, NO_LEASE)):
            backup = backup._replace(lease=lease)
        named = [
            leader if leader.lease == number else leader._replace(lease=number)
            for number, leader in enumerate(leaders, start=1)
        ]
        pair: tuple[Leader | None, Leader | None] = (*named, None, None)[:2]  # type: ignore[assignment]
        if database is world.database and backup is world.backup and pair == world.leaders:
            return world
        return world._replace(database=database, backup=backup, leaders=pair)


def put(world: World, place: int, leader: Leader | None) -> World:
    """Return the world with another state of one process."""
    first, second = world.leaders
    return world._replace(leaders=(leader, second) if place == 0 else (first, leader))


def is_known(world: World, bytes_: Bytes) -> bool:
    """Return whether a node that the service asks knows the bytes, waiting or mined."""
    return bytes_ in world.memory or is_mined(world, bytes_)


def is_mined(world: World, bytes_: Bytes) -> bool:
    """Return whether exactly these bytes are on the chain."""
    return bytes_.nonce < len(world.chain) and world.chain[bytes_.nonce][:2] == bytes_[1:]


def own_transaction(world: World, row: Row) -> Mined | None:
    """Return the transaction on the chain that is one of the row's own attempts."""
    if row.nonce >= len(world.chain):
        return None
    mined = world.chain[row.nonce]
    return mined if mined.operation == row.operation and mined.version in row.versions else None


def is_taken(world: World, row: Row) -> bool:
    """Return whether the chain counts the nonce of a row in flight, and none of the row's own attempts used it."""
    return row.status in IN_FLIGHT and row.nonce < len(world.chain) and own_transaction(world, row) is None


def missing(world: World) -> list[int]:
    """Return the nonces that the chain counts and no row holds, lowest first."""
    known = {entry.nonce for entry in world.database.unmatched}
    known |= {row.nonce for row in world.database.rows if row.status is not Status.CANCELLED}
    return [nonce for nonce in range(len(world.chain)) if nonce not in known]


def unsigned(database: Database) -> list[Row]:
    """Return the rows with a nonce and no bytes, highest nonce first."""
    return [row for row in reversed(database.rows) if row.status is Status.APPROVED]


def new_row(nonce: int, operation: int) -> Row:
    """Return the row of a nonce that is allocated."""
    payments = tuple(map(Payment, paid_by(operation))) if is_batch(operation) else ()
    return Row(nonce, operation, Status.APPROVED, payments=payments)


def paid_through_contract(world: World) -> set[int]:
    """Return the operations that PayOnce records as paid by the wallet."""
    return {
        operation
        for mined in world.chain
        for operation, outcome in zip(paid_by(mined.operation), mined.outcomes, strict=False)
        if outcome is PaymentOutcome.PAID
    }
