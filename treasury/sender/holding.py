"""Saying no before a nonce exists, and what is ready for one."""

from collections.abc import Sequence
from dataclasses import dataclass

from treasury.payouts import service as payouts
from treasury.payouts.machine import Fact, Reason
from treasury.payouts.table import Payout
from treasury.ports import FeeQuote
from treasury.sender import operations
from treasury.sender.desk import Desk
from treasury.sender.operations import Operation, kind_of
from treasury.status import Status


@dataclass(frozen=True, slots=True)
class Ready:
    """An operation that nothing speaks against, as it is to be signed; amounts in base units, fees in wei."""

    operation: Operation
    amount: int
    gas_limit: int
    fees: FeeQuote
    panic: bool = False


async def hold(desk: Desk, operation: Operation, reason: str, note: str, *, alarm: bool = True) -> None:
    """Keep an operation back with a reason; it is written and rung once."""
    if alarm:
        desk.alarms.ring(f"{kind_of(operation.id)}_{reason}", operation.id, note=note)
    if operation.status is Status.HELD and operation.reason == reason:
        return
    async with desk.leader.write() as conn:
        await operations.move(conn, operation.id, Fact.HELD, now=desk.clock.now(), note=note, reason=reason)


async def stop_payouts(desk: Desk, reason: Reason, note: str) -> None:
    """Hold every payout that has no nonce yet: while the wallet is emptied, and while payouts are paused."""
    async with desk.database.read() as conn:
        waiting = await payouts.unsigned(conn, desk.config.wallet, besides=reason)
    for payout in waiting:
        await hold(desk, payout, reason, note, alarm=False)


async def release_payouts(desk: Desk, stopped: Sequence[Payout]) -> None:
    """What was held with all others queues again, each at its old place."""
    for payout in stopped:
        async with desk.leader.write() as conn:
            note = f"no longer held for {payout.reason}"
            await payouts.move(conn, payout.id, Fact.TAKEN, now=desk.clock.now(), note=note, reason=None)
