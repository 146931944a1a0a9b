"""Do the steps of the checklist from the first one that is not done; every step that is done is stored, so that a crash costs one step."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
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
        late = _too_late(context, done)
        if late is not None:
            return Progress(recovery, done, f"{late} Nothing was done: begin another checklist with --again.")
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


def _too_late(context: RecoveryContext, done: Mapping[StepName, StepDone]) -> str | None:
    """Return which option comes after the step that would have used it, as a sentence; None if none does."""
    options, declared, verified = context.options, done.get(StepName.DECLARED), done.get(StepName.VERIFIED)
    if declared is not None:
        if options.deployment and declared.result["deployment"] != options.deployment:
            return "This checklist takes over no deployment."
        if set(options.unused) - set(declared.result.get("unused", ())):
            return "This checklist has declared the restore already, so --unused comes too late."
    if verified is not None and set(steps.texts_of(options.heads)) - set(verified.result.get("heads", ())):
        return "This checklist has verified the audit trail already, so --head comes too late."
    return None


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
        backup_at = await _backup_at(conn, context)
        recovery = await recovery_service.begin(conn, backup_at=backup_at, now=now, ids=context.ids)
        await recovery_service.record(conn, recovery, StepName.STOPPED, {}, now=now)
        await recovery_service.record(conn, recovery, StepName.MIGRATED, {"from": before, "to": after}, now=now)
    return recovery


async def _backup_at(conn: AsyncConnection, context: RecoveryContext) -> datetime | None:
    """Return the time of the newest row that was restored; None if nothing was."""
    if context.options.deployment:
        # Of a lost deployment nothing is in this database, whatever else is.
        return None
    newest, before = await recovery_service.newest_row(conn), await recovery_service.unfinished(conn)
    if newest is None or before is None:
        return newest
    # What the unfinished checklist and the service have written since is newer than the backup.
    return None if before.backup_at is None else min(newest, before.backup_at)


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
