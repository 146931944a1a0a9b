"""Do the steps of the checklist from the first one that is not done; every step that is done is stored, so that a crash costs one step."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.http.problems import Problem
from onramp.recovery import comparison, steps
from onramp.recovery import service as recovery_service
from onramp.recovery.context import RecoveryContext
from onramp.recovery.model import NEEDS_STOPPED, NotYet, Progress, Recovery, StepDone, StepName

Result = Mapping[str, Any]


async def advance(
    context: RecoveryContext, *, again: bool = False, checkpoint: Callable[[StepName], None] = lambda _: None
) -> Progress:
    """Do every step that can be done now, in order, and return how far the checklist is.

    `again` begins a new checklist although one is not finished, as after another restore. `checkpoint` is called after each step; tests
    crash there.
    """
    try:
        recovery = await _begin(context, again=again, checkpoint=checkpoint)
    except NotYet as waits:
        return Progress(None, {}, str(waits))
    while True:
        async with context.database.read() as conn:
            done = await recovery_service.steps_done(conn, recovery)
        declared, deployment = done.get(StepName.DECLARED), context.options.deployment
        if deployment and declared is not None and declared.result["deployment"] != deployment:
            return Progress(recovery, done, "This checklist takes over no deployment: begin another one with --again.")
        name = next((name for name in StepName if name not in done), None)
        if name is None:
            return await _finish(context, recovery, done)
        try:
            if name in NEEDS_STOPPED:
                await steps.require_stopped(context)
            await _take(context, recovery, name, done)
        except NotYet as waits:
            return Progress(recovery, done, str(waits))
        except Problem as problem:
            return Progress(recovery, done, f"{problem} Then run `onramp recover` again.")
        checkpoint(name)


async def _begin(context: RecoveryContext, *, again: bool, checkpoint: Callable[[StepName], None]) -> Recovery:
    """Return the checklist to continue, or begin one on a migrated database that no process uses. Raises NotYet."""
    if not again and await context.is_migrated():
        async with context.database.read() as conn:
            recovery = await recovery_service.unfinished(conn)
        if recovery is not None:
            return recovery
    await steps.require_stopped(context)
    checkpoint(StepName.STOPPED)
    before, after = await context.migrate()
    checkpoint(StepName.MIGRATED)
    now = context.clock.now()
    async with context.database.write() as conn:
        # Of a lost deployment nothing is in this database, whatever else is.
        backup_at = None if context.options.deployment else await recovery_service.newest_row(conn)
        recovery = await recovery_service.begin(conn, backup_at=backup_at, now=now, ids=context.ids)
        await recovery_service.record(conn, recovery, StepName.STOPPED, {}, now=now)
        await recovery_service.record(conn, recovery, StepName.MIGRATED, {"from": before, "to": after}, now=now)
    return recovery


async def _take(
    context: RecoveryContext, recovery: Recovery, name: StepName, done: Mapping[StepName, StepDone]
) -> None:
    """Do one step and record it; a step that only changes the database is recorded in the transaction of the change. Raises NotYet."""
    inside: dict[StepName, Callable[[AsyncConnection], Awaitable[Result]]] = {
        StepName.PAUSED: lambda conn: steps.pause_everything(conn, context),
        StepName.DECLARED: lambda conn: steps.declare_restore(conn, context, recovery),
        StepName.LOGGED_OUT: lambda conn: steps.log_wallets_out(conn, context),
        StepName.LISTED: lambda conn: steps.list_what_is_lost(conn, context, recovery),
        StepName.RESUMED: steps.require_resumed,
    }
    outside: dict[StepName, Callable[[], Awaitable[Result]]] = {
        StepName.VERIFIED: lambda: steps.verify_audit(context),
        StepName.REBUILT: lambda: comparison.rebuild(context, recovery),
        StepName.SPENT: lambda: comparison.require_spent(context, done[StepName.DECLARED]),
        StepName.COMPARED: lambda: comparison.compare(context, recovery),
    }
    result = await outside[name]() if name in outside else None
    async with context.database.write() as conn:
        if result is None:
            result = await inside[name](conn)
        await recovery_service.record(conn, recovery, name, result, now=context.clock.now())


async def _finish(context: RecoveryContext, recovery: Recovery, done: Mapping[StepName, StepDone]) -> Progress:
    async with context.database.write() as conn:
        await recovery_service.finish(conn, recovery, now=context.clock.now())
    async with context.database.read() as conn:
        finished = await recovery_service.latest(conn)
    return Progress(finished, done, None)
