"""Saying no before a nonce exists, and what is ready for one."""

from collections.abc import Sequence
from dataclasses import dataclass

from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.payouts import queue
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.ports import FeeQuote
from treasury.sender import operations
from treasury.sender.context import SenderContext, log
from treasury.sender.operations import Operation, kind_of
from treasury.transitions import Change, MoveRefused


@dataclass(frozen=True, slots=True)
class Ready:
    """An operation that nothing speaks against, as it is to be signed; amounts in base units, fees in wei."""

    operation: Operation
    amount: int
    gas_limit: int
    fees: FeeQuote
    panic: bool = False


async def hold(desk: SenderContext, operation: Operation, reason: str, note: str, *, alarm: bool = True) -> None:
    """Keep an operation back with a reason; it is written and rung once.

    One that a person decided about in this moment keeps that decision.
    """
    if alarm:
        desk.alarms.ring(f"{kind_of(operation.id)}_{reason}", operation.id, **operations.ids_of(operation), note=note)
    if operation.status is Status.HELD and operation.reason == reason:
        return
    try:
        async with desk.leader.write() as conn:
            await operations.move(
                conn, operation.id, OperationFact.HELD, now=desk.clock.now(), note=note, reason=reason
            )
    except MoveRefused as refused:
        log.warning("treasury.not_held", **operations.ids_of(operation), reason=reason, detail=str(refused))
        return
    log.info("treasury.held", **operations.ids_of(operation), reason=reason)


async def queue_again(desk: SenderContext, payout: Payout, note: str) -> None:
    """Let a payout that was held alone queue at its old place; every check is made again before it gets a nonce."""
    try:
        async with desk.leader.write() as conn:
            await payouts_service.move(
                conn, payout.id, OperationFact.READY, now=desk.clock.now(), note=note, reason=None
            )
    except MoveRefused as refused:
        log.warning("treasury.not_released", **operations.ids_of(payout), detail=str(refused))
        return
    desk.alarms.clear(f"payout_{payout.reason}", payout.id)
    log.info("treasury.queued_again", **operations.ids_of(payout), was=payout.reason)


async def stop_payouts(desk: SenderContext, reason: Reason, note: str) -> None:
    """Hold every payout that has no nonce yet: while the wallet is emptied, and while payouts are paused."""
    async with desk.database.read() as conn:
        waiting = await queue.unsigned(conn, desk.config.wallet, excluding=reason)
    await _move_all(desk, waiting, OperationFact.HELD, reason, note)


async def release_payouts(desk: SenderContext, stopped: Sequence[Payout]) -> None:
    """What was held with all others queues again, each at its old place."""
    for reason in dict.fromkeys(payout.reason for payout in stopped):
        alike = [payout for payout in stopped if payout.reason == reason]
        await _move_all(desk, alike, OperationFact.READY, None, f"no longer held for {reason}")


async def _move_all(
    desk: SenderContext, waiting: Sequence[Payout], fact: OperationFact, reason: Reason | None, note: str
) -> None:
    if not waiting:
        return
    changes = [Change(payout.id, note, {"reason": reason}, was=payout.status) for payout in waiting]
    try:
        async with desk.leader.write() as conn:
            await operations.move_all(conn, changes, fact, now=desk.clock.now())
    except MoveRefused as refused:
        # A person decided about one of them in this moment; the next cycle reads them again.
        named = next((operations.ids_of(one) for one in waiting if one.id in str(refused)), {})
        log.warning("treasury.not_moved", **named, fact=fact, detail=str(refused))
        return
    for payout in waiting:
        if reason is None:
            log.info("treasury.queued_again", **operations.ids_of(payout), was=payout.reason)
        else:
            log.info("treasury.held", **operations.ids_of(payout), reason=reason)
