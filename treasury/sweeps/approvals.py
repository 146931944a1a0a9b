"""The decisions of persons about sweeps, each in the caller's open transaction; refusals are Problems with stable codes."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.actor import Actor
from kit.db.cas import compare_and_set
from kit.http.problems import Problem
from kit.persons import same_person
from treasury.core.facts import OperationFact
from treasury.core.status import Status
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep
from treasury.sweeps.table import sweeps
from treasury.transitions import MoveRefused


async def approve(
    conn: AsyncConnection,
    sweep_id: str,
    actor: Actor,
    *,
    policy_version: str,
    safe_identity: str,
    now: datetime,
    note: str = "",
) -> Sweep:
    """Approve exactly what the sweep's row says, as another person than the proposer. Raises Problem.

    `policy_version` and `safe_identity` are the current ones: a proposal under others cannot be approved.
    """
    sweep = await sweeps_service.require(conn, sweep_id)
    if same_person(actor.person, sweep.proposed_person):
        raise Problem(409, "self_approval", "You proposed this sweep; another approver has to approve it.")
    if sweep.status is not Status.AWAITING_APPROVAL:
        raise Problem(409, "not_possible", f"{sweep_id} is {sweep.status}; only one awaiting approval can be approved.")
    if sweep.expires_at is not None and sweep.expires_at <= now:
        raise Problem(409, "policy_refused", "It waited longer than approval_expires_hours; propose it again.")
    if sweep.policy_version != policy_version:
        raise Problem(409, "policy_refused", "The policy changed since it was proposed; propose it again.")
    if sweep.safe_identity != safe_identity:
        raise Problem(
            409, "cold_wallet_unverified", "The cold wallet changed since it was proposed; nothing was moved."
        )
    values = {
        "approved_by": actor.id,
        "approved_person": actor.person,
        "approval": sweeps_service.proposal_of(sweep).digest(),
    }
    await _move(conn, sweep_id, OperationFact.APPROVED, now=now, by=actor.id, note=note, **values)
    return await sweeps_service.require(conn, sweep_id)


async def reject(conn: AsyncConnection, sweep_id: str, actor: Actor, *, now: datetime, note: str = "") -> Sweep:
    """Reject a sweep that has no nonce yet. Raises Problem."""
    await sweeps_service.require(conn, sweep_id)
    # A nonce may leave the status as it was. This update locks the row, so the sender gives it no nonce from here on.
    without_nonce = sa.and_(sweeps.c.id == sweep_id, sweeps.c.transaction_id.is_(None))
    if not await compare_and_set(conn, sweeps, without_nonce, list(Status), updated_at=now):
        raise Problem(409, "not_possible", f"{sweep_id} has a nonce already and cannot be rejected any more.")
    await _move(conn, sweep_id, OperationFact.REJECTED, now=now, by=actor.id, note=note, active_key=None, reason=None)
    return await sweeps_service.require(conn, sweep_id)


async def _move(conn: AsyncConnection, sweep_id: str, fact: OperationFact, **values: Any) -> None:
    try:
        await sweeps_service.move(conn, sweep_id, fact, **values)
    except MoveRefused as error:
        raise Problem(409, "not_possible", f"That cannot be done any more: {error}.") from error
