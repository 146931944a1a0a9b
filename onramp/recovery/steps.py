"""The steps of a restore. Each may be repeated: what it has done already it leaves as it is, or does once more without harm."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import Address
from kit.audit import hash_chain
from kit.audit import service as audit_service
from kit.audit.hash_chain import Head
from kit.audit.service import LOCAL_OPERATOR
from kit.clock import rfc3339
from kit.heartbeats.service import workers_seen
from onramp.auth.api_keys.table import api_keys
from onramp.auth.wallets import service as wallets_service
from onramp.deployment import service as deployment_service
from onramp.recovery.context import RecoveryContext
from onramp.recovery.model import NotYet, Recovery
from onramp.sessions import service as sessions_service
from onramp.sessions.purchase_recovery import HORIZON
from treasury.core import hot_wallets
from treasury.core.hot_wallets import HotWallet
from treasury.core.leader import deepest_pipeline, explain_from_first_block, fence, is_led
from treasury.core.status import Status
from treasury.pause import service as pause_service
from treasury.pause.model import SCOPES
from treasury.payouts import service as payouts_service
from treasury.policy import service as policy_service
from treasury.restores import service as restores_service
from treasury.restores.model import Restore, Source
from treasury.sweeps import service as sweeps_service

Result = Mapping[str, Any]
TO_DO_AGAIN: Final = (
    "Revoke the API keys that were revoked since the backup, and rotate those that were rotated: their old secrets work again.",
    "Create the API keys, invitations and second factors that were made since the backup.",
    "Approve policy versions, payouts and sweeps again that were approved since the backup.",
    "Reject or settle again the payouts that were rejected, or made good by hand, since the backup: they are owed again.",
    "Confirm again what two persons said about unmatched transactions, missing coins and settled USDC since the backup.",
    "Erase again the persons who were erased since the backup.",
    "Compare all this with the last export of the audit log, which names every such act.",
)
"""The tasks that no step can do for persons, as sentences for them."""


async def require_stopped(context: RecoveryContext) -> Result:
    """Check by heartbeats and leases that no process uses the database. Raises NotYet."""
    async with context.database.read() as conn:
        has_heartbeats = await conn.run_sync(lambda sync: sa.inspect(sync).has_table("worker_heartbeats"))
        seen = await workers_seen(conn) if has_heartbeats else {}
        wallet = context.hot_wallet
        has_leaders = await conn.run_sync(lambda sync: sa.inspect(sync).has_table("treasury_leaders"))
        led = wallet is not None and has_leaders and await is_led(conn, wallet)
    running = sorted(name for name, worker in seen.items() if worker.is_present)
    if running:
        raise NotYet(
            f"Processes run on this database ({', '.join(running)}). Stop every API and worker, wait 15 seconds, and run"
            " `onramp recover` again."
        )
    if led:
        raise NotYet(
            "A process leads the hot wallet by this database. Stop every worker, wait 30 seconds, and run `onramp recover` again."
        )
    return {}


async def verify_audit(context: RecoveryContext) -> Result:
    """Verify the audit trail against heads that were published; a head that is newer than the backup says how much is lost. Raises NotYet."""
    options = context.options
    if not options.heads and not options.without_head:
        raise NotYet(
            "Name the newest head of the audit trail that the log or the metric published (audit.head): `onramp recover --head NUMBER:HASH`."
            " If none was kept: `onramp recover --without-head`."
        )
    async with context.database.read() as conn:
        own = await hash_chain.head(conn)
        older = [head for head in options.heads if head.number <= own.number]
        verdict = await hash_chain.verify(conn, context.ring, older)
    if verdict.broken is not None:
        raise NotYet(
            f"The audit trail is broken at number {verdict.broken.number}: {verdict.broken.reason}. This backup cannot be trusted: restore"
            " another one, older than that entry, and run `onramp recover` again."
        )
    newest = max((head.number for head in options.heads), default=None)
    lost = None if newest is None else max(0, newest - own.number)
    return {"head": {"number": own.number, "hash": own.hash}, "lostEntries": lost, "heads": texts_of(options.heads)}


def texts_of(heads: Sequence[Head]) -> list[str]:
    """Return heads as `--head` takes them."""
    return [f"{head.number}:{head.hash}" for head in heads]


async def pause_everything(conn: AsyncConnection, context: RecoveryContext) -> Result:
    """Pause every scope as the person who runs the checklist, so that another person has to resume."""
    note = context.options.note or "restored from a backup"
    paused = await pause_service.pause(conn, SCOPES, context.actor, note=note, now=context.clock.now())
    return {"paused": [pause.scope for pause in paused.ordered]}


async def _take_over(conn: AsyncConnection, context: RecoveryContext, recovery: Recovery) -> None:
    """Make this empty database that of the deployment which is lost. Raises NotYet."""
    deployment = context.options.deployment
    if await sessions_service.any_complete(conn):
        raise NotYet(
            f"This database has completed purchases of its own, so it cannot take over those of {deployment}: set DATABASE_URL to an empty one."
        )
    await deployment_service.take_over(conn, deployment, created_at=recovery.begun_at - HORIZON)
    if context.hot_wallet is not None:
        await explain_from_first_block(conn, context.hot_wallet)


async def declare_restore(conn: AsyncConnection, context: RecoveryContext, recovery: Recovery) -> Result:
    """Fence every earlier leader, declare the restore for every hot wallet, and increase the versions of sessions.

    Takes over a lost deployment, if one is named. Raises NotYet.
    """
    wallet, deployment = context.hot_wallet, context.options.deployment
    await sessions_service.skip_versions(conn, context.clock.now())
    if deployment:
        await _take_over(conn, context, recovery)
    result: dict[str, Any] = {"restore": None, "depth": 0, "deployment": deployment or None}
    if wallet is not None:
        restore = await _declare(conn, context, wallet, context.pipeline_depth)
        result |= {"restore": restore.id, "depth": restore.depth}
    unspent = await declare_for_earlier_wallets(conn, context, recovery)
    return {**result, "earlierWallets": unspent, "unused": list(context.options.unused)}


async def declare_for_earlier_wallets(
    conn: AsyncConnection, context: RecoveryContext, recovery: Recovery
) -> list[Address]:
    """Declare the restore for each recorded hot wallet but the current one; return those whose nonces are not spent.

    Any of them may have signed since the backup: the wallet may have been rotated since, or together with the restore. Until a service
    with its key has spent its nonces, what it signed may still be mined, so purchases from before the restore are left to persons if the
    chain does not show their payment. A person may say which of them have signed nothing. Raises NotYet if
    that names a wallet which is not recorded.
    """
    now, chain_id, current = context.clock.now(), context.config.chain_id, context.config.hot_wallet
    earlier, unspent = await hot_wallets.others(conn, chain_id, current), []
    if mistaken := set(context.options.unused) - set(earlier):
        raise NotYet(
            f"--unused names {', '.join(sorted(mistaken))}, and this database knows no such earlier hot wallet. Nothing was declared: name one"
            f" of {', '.join(earlier) or 'none'}."
        )
    for address in earlier:
        wallet = HotWallet(chain_id, address)
        newest = await restores_service.newest(conn, wallet)
        if address in context.options.unused:
            if newest is not None and newest.done_at is None:
                await restores_service.finish(conn, newest, by=LOCAL_OPERATOR, now=now)
            continue
        if newest is None or newest.declared_at < recovery.begun_at:
            newest = await _declare(conn, context, wallet, 1)
        if newest.done_at is None:
            unspent.append(address)
    return unspent


async def _declare(conn: AsyncConnection, context: RecoveryContext, wallet: HotWallet, depth: int) -> Restore:
    """Fence the wallet's earlier leader and declare the restore; `depth` is that of the configured pipeline."""
    await fence(conn, wallet)
    return await restores_service.declare(
        conn,
        wallet,
        Source.DECLARED,
        depth=max(await deepest_pipeline(conn, wallet), depth, context.options.depth),
        by=LOCAL_OPERATOR,
        note=context.options.note,
        now=context.clock.now(),
        ids=context.ids,
    )


async def log_wallets_out(conn: AsyncConnection, context: RecoveryContext) -> Result:
    """End every token of a wallet: some were ended after the backup, and would be valid again."""
    await wallets_service.log_out_all(conn)
    await audit_service.record(
        conn, LOCAL_OPERATOR, "wallets.log_out", "wallets", None, {"all": True}, at=context.clock.now()
    )
    return {}


async def list_what_is_lost(conn: AsyncConnection, context: RecoveryContext, recovery: Recovery) -> Result:
    """Return the list of what persons have to review or do again."""
    c = api_keys.c
    keys = await conn.execute(sa.select(c.id, c.name, c.role, c.person).where(c.revoked_at.is_(None)).order_by(c.id))
    payouts, sweeps = await payouts_service.count_by_status(conn), await sweeps_service.count_by_status(conn)
    waiting = (Status.AWAITING_APPROVAL, Status.HELD)
    wallet = context.hot_wallet
    policy = None if wallet is None else await policy_service.active(conn, wallet.key)
    return {
        "since": None if recovery.backup_at is None else rfc3339(recovery.backup_at),
        "doAgain": list(TO_DO_AGAIN),
        "keysToReview": [dict(row._mapping) for row in keys],
        "payoutsWaiting": sum(payouts.get(status, 0) for status in waiting),
        "sweepsWaiting": sum(sweeps.get(status, 0) for status in waiting),
        "policyVersion": None if policy is None else policy.id,
    }


async def require_resumed(conn: AsyncConnection) -> Result:
    """Check that nothing is paused any more. Raises NotYet."""
    paused = (await pause_service.current(conn)).ordered
    if paused:
        scopes = ", ".join(pause.scope for pause in paused)
        raise NotYet(
            f"Paused: {scopes}. Do what the list says first; then another person runs `onramp treasury resume`, and this command once more."
        )
    return {}
