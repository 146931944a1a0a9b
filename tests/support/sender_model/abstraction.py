"""The model's view of a real database and a scripted chain."""

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from chain.abi.erc20 import split_payout_calldata
from chain.abi.payonce import AlreadyPaid, decode_pay
from chain.payonce import ADDRESS
from chain.reads.batch_proof import PaymentResult
from chain.types import Transfer, keccak, to_checksum
from tests.support.fake_chain import FakeChain
from tests.support.fake_chain import Mined as RealMined
from tests.support.hot_wallet import HOT_WALLET, WALLET
from tests.support.sender_model.state import (
    NOTHING,
    STRANGER,
    UNDECIDED,
    Bytes,
    Claim,
    Known,
    Mined,
    Operation,
    Payment,
    Phase,
    Row,
    Unmatched,
    Wait,
    World,
    batch_of,
    is_batch,
)
from tests.support.treasury_world import TreasuryWorld
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.incidents.table import unmatched_transactions
from treasury.payouts import service as payouts_service
from treasury.payouts.table import payouts
from treasury.restores import service as restores_service
from treasury.transactions.model import PaymentOutcome
from treasury.transactions.table import attempts, batch_payments, transactions

GWEI = 10**9
_WAITS = {Reason.REFERENCE_SPENT: Wait.REFERENCE_SPENT, Reason.NOT_PROVED_DEAD: Wait.NOT_PROVED_DEAD}
_KEPT = {Status.FINAL, Status.REVERTED}


class Observed(NamedTuple):
    """What can be seen of a state from outside the processes' memory."""

    operations: tuple[Operation | None, ...]
    rows: tuple[Row, ...]
    unmatched: tuple[Unmatched, ...]
    chain: tuple[Mined, ...]
    memory: frozenset[Bytes]
    phases: tuple[Phase, ...]
    restore: int
    """How many nonces in a row the open restore spends; 0 if none is open."""


def session(index: int) -> str:
    """Return the session that an operation of the model pays."""
    return f"ons_{index}"


def observed(world: World) -> Observed:
    """Return what can be seen of a state of the model."""
    database = world.database
    phases = tuple(Phase.IDLE if leader is None else leader.phase for leader in world.leaders)
    return Observed(
        database.operations, database.rows, database.unmatched, world.chain, world.memory, phases, database.restore
    )


class Registry:
    """Which bytes of the model each real transaction is, by its hash; and the branch of each block, by its hash."""

    def __init__(self, count: int) -> None:
        self._index = {payouts_service.reference_text(session(index)): index for index in range(count)}
        self.names: dict[str, Bytes] = {}
        self.raws: dict[Bytes, bytes] = {}
        """The bytes that nodes got."""
        self.branches: dict[str, int] = {}

    def index(self, reference: str) -> int:
        """Return the operation that a reference belongs to, or STRANGER."""
        return self._index.get(reference, STRANGER)

    def name(self, raw: bytes) -> Bytes:
        """Name signed bytes by what they carry; their version follows from their fee."""
        fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        data, to = bytes(fields["data"]), to_checksum("0x" + bytes(fields["to"]).hex())
        parts = split_payout_calldata(data)
        operation = NOTHING if to == WALLET else STRANGER
        if parts is not None:
            operation = self.index("0x" + parts[2].hex())
        elif to == ADDRESS:
            operation = batch_of(tuple(self.index("0x" + entry.reference.hex()) for entry in decode_pay(data)[1]))
        version = 0 if operation == STRANGER else fields["maxFeePerGas"] // GWEI - 1
        name = self.names["0x" + keccak(raw).hex()] = Bytes(fields["nonce"], operation, version)
        return name


async def abstract(world: TreasuryWorld, registry: Registry, count: int, phases: tuple[Phase, ...]) -> Observed:
    """Return what can be seen of the real state."""
    async with world.database.read() as conn:
        owed = {row.session_id: row for row in (await conn.execute(sa.select(payouts))).fetchall()}
        rows = (await conn.execute(sa.select(transactions))).fetchall()
        signed = (await conn.execute(sa.select(attempts))).fetchall()
        restore = await restores_service.open_restore(conn, HOT_WALLET)
        entries = (await conn.execute(sa.select(unmatched_transactions))).fetchall()
        in_batches = (await conn.execute(sa.select(batch_payments).order_by(batch_payments.c.position))).fetchall()
    index_of = {row.id: int(name.removeprefix("ons_")) for name, row in owed.items()}
    current = {row.transaction_id for row in owed.values()}
    if restore is not None:
        current |= {row.id for row in rows if row.operation_id == restore.operation_id}
    known = tuple(_operation(owed.get(session(index))) for index in range(count))
    by_row: dict[str, list[Bytes]] = {}
    for attempt in sorted(signed, key=lambda entry: (entry.signed_at, entry.id)):
        by_row.setdefault(attempt.transaction_id, []).append(registry.names[attempt.hash])
    carried_by = {row.id: row.transaction_id for row in owed.values()}
    payments: dict[str, list[Payment]] = {}
    for entry in in_batches:
        payments.setdefault(entry.transaction_id, []).append(_payment(entry, registry, carried_by))
    model_rows = [
        _row(
            row,
            payments.get(row.id, []),
            by_row.get(row.id, []),
            index_of,
            registry.branches,
            is_current=row.id in current,
        )
        for row in rows
        if row.status != Status.CANCELLED or row.id in by_row
    ]
    unmatched = [_unmatched(entry, registry) for entry in entries]
    chain = world.chain
    mined = {entry.tx.nonce: (registry.names[tx_hash], entry) for tx_hash, entry in chain.mined.items()}
    return Observed(
        known,
        tuple(sorted(model_rows)),
        tuple(sorted(unmatched, key=lambda entry: entry[:3])),
        tuple(
            Mined(
                name.operation,
                name.version,
                not entry.reverted,
                registry.branches[entry.block.hash],
                _outcomes(name.operation, entry),
            )
            for name, entry in (mined[nonce] for nonce in range(chain.nonce))
        ),
        _memory(chain, registry),
        phases,
        0 if restore is None else restore.depth,
    )


def _operation(row: sa.Row[tuple[object, ...]] | None) -> Operation | None:
    if row is None:
        return None
    wait = _WAITS.get(Reason(row.reason), Wait.OBJECTION) if row.status == Status.HELD else None
    return Operation(Status(row.status), wait)


def _row(
    row: sa.Row[tuple[object, ...]],
    payments: list[Payment],
    signed: list[Bytes],
    index_of: Mapping[str, int],
    branches: Mapping[str, int],
    *,
    is_current: bool,
) -> Row:
    nonce = row.nonce if row.nonce is not None else signed[0].nonce
    branch = branches[row.block_hash] if row.status in _KEPT and row.block_hash is not None else UNDECIDED
    versions = tuple(entry.version for entry in signed)
    if payments:
        batch = batch_of(tuple(payment.operation for payment in payments))
        return Row(nonce, batch, Status(row.status), versions, branch, payments=tuple(payments))
    operation = index_of.get(row.operation_id, NOTHING)
    return Row(nonce, operation, Status(row.status), versions, branch, is_current)


def _payment(row: sa.Row[tuple[object, ...]], registry: Registry, carried_by: Mapping[str, str | None]) -> Payment:
    claim = Claim.NONE
    if row.payout_id is not None:
        claim = Claim.CURRENT if carried_by[row.payout_id] == row.transaction_id else Claim.EARLIER
    return Payment(registry.index(row.reference), claim, PaymentOutcome(row.outcome) if row.outcome else None)


def _outcomes(operation: int, mined: RealMined) -> tuple[PaymentOutcome, ...]:
    if not is_batch(operation) or mined.reverted:
        return ()
    return tuple(_outcome(mined.results[payment.reference]) for payment in decode_pay(mined.tx.data)[1])


def _outcome(result: PaymentResult) -> PaymentOutcome:
    if isinstance(result, Transfer):
        return PaymentOutcome.PAID
    return PaymentOutcome.PAID_BEFORE if isinstance(result, AlreadyPaid) else PaymentOutcome.FAILED


def _unmatched(entry: sa.Row[tuple[object, ...]], registry: Registry) -> Unmatched:
    name = registry.names[entry.tx_hash]
    known = Known.OPEN if entry.answered_at is None else Known.RESOLVED
    operation = name.operation if entry.reference is None else registry.index(entry.reference)
    return Unmatched(entry.nonce, operation, name.version, Known.MATCHED if entry.payout_id else known)


def _memory(chain: FakeChain, registry: Registry) -> frozenset[Bytes]:
    return frozenset(registry.names[entry.hash] for entry in chain.pending.values())
