"""Hold operations back before they have a nonce, and let them queue again."""

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
class ReadyOperation:
    """An operation that passed every check, with the values to sign. `amount` is in base units, `fees` in wei for each unit of gas."""

    operation: Operation
    amount: int
    gas_limit: int
    fees: FeeQuote
    panic: bool = False


async def hold(context: SenderContext, operation: Operation, reason: Reason, note: str, *, alarm: bool = True) -> None:
    """Hold an operation back with a reason. Status and alarm change only if the reason is new.

    If a person decides about the operation at the same time, that decision wins.
    """
    kind, ids = f"{kind_of(operation.id)}_{reason}", operations.ids_of(operation)
    if operation.status is Status.HELD and operation.reason == reason:
        if alarm:
            context.alarms.raise_alarm(kind, operation.id, **ids, note=note)
        return
    try:
        async with context.leader.write() as conn:
            now = context.clock.now()
            await operations.move(conn, operation.id, OperationFact.HELD, now=now, note=note, reason=reason)
            if alarm:
                await context.alarms.raise_in(conn, kind, operation.id, now, **ids, note=note)
    except MoveRefused as refused:
        log.warning("treasury.not_held", **ids, reason=reason, detail=str(refused))
        return
    log.info("treasury.held", **ids, reason=reason)


async def queue_again(context: SenderContext, payout: Payout, note: str) -> None:
    """Let a payout that was held alone queue at its old place. Every check is repeated before it gets a nonce."""
    try:
        async with context.leader.write() as conn:
            now = context.clock.now()
            await payouts_service.move(conn, payout.id, OperationFact.READY, now=now, note=note, reason=None)
    except MoveRefused as refused:
        log.warning("treasury.not_released", **operations.ids_of(payout), detail=str(refused))
        return
    context.alarms.clear(f"payout_{payout.reason}", payout.id)
    log.info("treasury.queued_again", **operations.ids_of(payout), was=payout.reason)


async def stop_payouts(context: SenderContext, reason: Reason, note: str) -> None:
    """Hold every payout that queues for a nonce: while the wallet is emptied, and while payouts are paused."""
    async with context.database.read() as conn:
        queued = await queue.unsigned(conn, context.config.wallet, excluding=reason)
    await _move_all(context, queued, OperationFact.HELD, reason, note)


async def release_payouts(context: SenderContext, stopped: Sequence[Payout]) -> None:
    """Let payouts that were held together queue again, each at its old place."""
    for reason in dict.fromkeys(payout.reason for payout in stopped):
        same_reason = [payout for payout in stopped if payout.reason == reason]
        await _move_all(context, same_reason, OperationFact.READY, None, f"no longer held for {reason}")


async def _move_all(
    context: SenderContext, payouts: Sequence[Payout], fact: OperationFact, reason: Reason | None, note: str
) -> None:
    if not payouts:
        return
    changes = [Change(payout.id, note, {"reason": reason}, was=payout.status) for payout in payouts]
    try:
        async with context.leader.write() as conn:
            await operations.move_all(conn, changes, fact, now=context.clock.now())
    except MoveRefused as refused:
        # A person decided about one of them at the same time; the next cycle reads them again.
        ids = next((operations.ids_of(payout) for payout in payouts if payout.id in str(refused)), {})
        log.warning("treasury.not_moved", **ids, fact=fact, detail=str(refused))
        return
    for payout in payouts:
        if reason is None:
            log.info("treasury.queued_again", **operations.ids_of(payout), was=payout.reason)
        else:
            log.info("treasury.held", **operations.ids_of(payout), reason=reason)
