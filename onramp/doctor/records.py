"""Checks of the doctor that read the database: does it accept writes, do workers run, do events arrive, which policy is active?

Each function returns a sentence, or raises an error that `onramp.doctor.parts` turns into a finding. Other lines report a database that does
not answer or is not migrated; here it only means that the result is unknown.
"""

import functools
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import DATABASE_ERRORS, is_unavailable, reason_of
from kit.db.pooler import missing_limits, timeouts
from kit.db.space import prove_space
from kit.db.types import UtcDateTime
from kit.heartbeats.service import PRESENT_SECONDS, workers_seen
from kit.outbox import service as outbox_service
from kit.worker import STALLED_SECONDS
from onramp.bootstrap.container import Container
from onramp.bootstrap.workers import TELLING, WORKERS, expected_workers
from onramp.ops.health import NotWellError
from onramp.ops.readiness_checks import OLDEST_EVENT_SECONDS
from onramp.sessions.table import sessions
from onramp.treasury import policy_source
from onramp.webhooks import service as webhooks_service
from onramp.webhooks.table import inbox
from treasury.core.hot_wallets import HotWallet
from treasury.core.leader import is_led
from treasury.policy import service as policy_service
from treasury.policy.parser import PolicyError
from treasury.policy.serialization import digest
from treasury.policy.states import Loosening, Tightening, Unchanged, VersionStatus, compare

UNKNOWN: Final = "the database does not say"
EVENT_WAIT: Final = timedelta(minutes=10)
"""How long after the payment the event of a purchase may take to arrive. Stripe retries a refused event for days."""
LOOK_BACK: Final = timedelta(days=1)
Check = Callable[[Container], Awaitable[str]]


class _Rollback(Exception):
    """Raised to roll back the test write."""


def _or_unknown(check: Check) -> Check:
    @functools.wraps(check)
    async def wrapped(container: Container) -> str:
        try:
            return await check(container)
        except DATABASE_ERRORS:
            return UNKNOWN

    return wrapped


async def writes(container: Container) -> str:
    """Check that the database accepts writes, has space on its disk, and has limits for statements and locks. Raises NotWellError."""
    limits = ""
    try:
        if container.database.dialect == "postgresql":
            limits = await _limits(container)
        await _write(container)
    except DATABASE_ERRORS as error:
        state = getattr(getattr(error, "orig", None), "sqlstate", None)
        if container.database.dialect == "postgresql" and is_unavailable(error) and state is None:
            return UNKNOWN
        raise NotWellError(
            f"the database takes no writes ({reason_of(error)}): is it a standby, is its disk full, may this role write?"
        ) from error
    return f"takes writes{limits}"


async def _limits(container: Container) -> str:
    async with container.database.read() as conn:
        read_only = await conn.scalar(sa.select(sa.func.current_setting("transaction_read_only")))
    if read_only == "on":
        raise NotWellError("the database is read only: let DATABASE_URL name the primary, not a standby")
    limits = await timeouts(container.database)
    if lost := missing_limits(limits):
        raise NotWellError(
            f"{' and '.join(lost)} of the connection is 0, so a lock may hold everything up for good: a pooler dropped it;"
            " set it for the role with ALTER ROLE ... SET"
        )
    return ", " + ", ".join(f"{name} {value}" for name, value in limits.items())


async def _write(container: Container) -> None:
    await prove_space(container.database)
    if container.database.dialect == "sqlite":
        try:
            async with container.database.write() as conn:
                await conn.exec_driver_sql("CREATE TABLE doctor_was_here (filling TEXT)")
                raise _Rollback
        except _Rollback:
            pass


@_or_unknown
async def workers(container: Container) -> str:
    """Check that a process runs each worker and one leads the hot wallet.

    Raises NotWellError if a worker is missing or stuck although some process was seen within a day.
    """
    pays = container.rules.mode == "payout" and container.rules.hot_wallet is not None
    async with container.database.read() as conn:
        seen = await workers_seen(conn)
        leads = await _leads(conn, container) if pays else None
        is_told = bool(await outbox_service.topics_of(conn))
    if not seen:
        return "no process of the service was seen within a day: run `onramp serve`, or `onramp work` beside it"
    problems = []
    for name in expected_workers(container):
        if name in TELLING and not is_told:
            continue
        worker = seen.get(name)
        if worker is None or not worker.is_present:
            when = "" if worker is None else f" (last seen {worker.age_seconds:.0f} s ago)"
            problems.append(f"no process runs the worker {name}{when}: run `onramp work`")
        elif worker.busy_seconds > STALLED_SECONDS:
            problems.append(f"the step of {name} has not ended for {worker.busy_seconds} s: restart `onramp work`")
    if leads is False and not any("treasury" in problem for problem in problems):
        problems.append(
            "no process leads the hot wallet, so nobody is paid: restart `onramp work`, and look for `treasury.` in its log"
        )
    if problems:
        raise NotWellError("; ".join(problems))
    counts = ", ".join(f"{name} {seen[name].processes}" for name in WORKERS if name in seen)
    return f"processes seen within {PRESENT_SECONDS:.0f} s: {counts}" + ("; the hot wallet is led" if leads else "")


async def _leads(conn: AsyncConnection, container: Container) -> bool:
    if container.rules.hot_wallet is None:
        return False
    return await is_led(conn, HotWallet(container.rules.chain_id, container.rules.hot_wallet))


@_or_unknown
async def webhooks(container: Container) -> str:
    """Report when Stripe's last event arrived and how many wait.

    Raises NotWellError if purchases were paid but none of their events arrived, or if an event has waited too long.
    """
    now = container.clock.now()
    async with container.database.read() as conn:
        last: datetime | None = await conn.scalar(sa.select(sa.func.max(inbox.c.received_at, type_=UtcDateTime())))
        has_event = sa.exists().where(inbox.c.stripe_session_id == sessions.c.stripe_session_id)
        paid = sessions.c.paid_at.between(now - LOOK_BACK, now - EVENT_WAIT)
        missing = await conn.scalar(sa.select(sa.func.count()).select_from(sessions).where(paid, ~has_event)) or 0
        since = await conn.scalar(
            sa.select(sa.func.min(sessions.c.paid_at, type_=UtcDateTime())).where(paid, ~has_event)
        )
        pending, oldest, parked = await webhooks_service.backlog(conn)
    last_text = (
        "none was ever taken in" if last is None else f"the last was taken in {(now - last).total_seconds():.0f} s ago"
    )
    problems = []
    if missing and (last is None or last < since):
        problems.append(
            f"{missing} purchases of the last day were paid and none of their events was taken in ({last_text}): register"
            " /api/v1/webhooks/stripe at Stripe, and compare STRIPE_WEBHOOK_SECRETS with that endpoint's"
        )
    if oldest is not None and (now - oldest).total_seconds() > OLDEST_EVENT_SECONDS:
        problems.append(
            f"{pending} events wait, the oldest for {(now - oldest).total_seconds():.0f} s: run `onramp work`"
        )
    if problems:
        raise NotWellError("; ".join(problems))
    parked_text = f"; {parked} are parked: `onramp events list --state parked`" if parked else ""
    return f"of Stripe's events {last_text}, {pending} wait{parked_text}"


async def policy(container: Container) -> str:
    """Report which policy version is active, which ones wait, and how file and environment differ from it.

    Raises NotWellError if the policy file cannot be used.
    """
    if container.rules.mode != "payout":
        return "nothing is paid out in observe mode"
    try:
        terms = policy_source.terms_of(container.settings, container.rules)
    except PolicyError as error:
        raise NotWellError("; ".join(error.problems)) from error
    if container.rules.hot_wallet is None:
        return "the file is well-formed; no hot wallet here: nothing is paid out"
    scope = HotWallet(container.rules.chain_id, container.rules.hot_wallet).key
    try:
        async with container.database.read() as conn:
            active, versions = await policy_service.active(conn, scope), await policy_service.history(conn, scope)
    except DATABASE_ERRORS:
        return "the file is well-formed; the database does not say which version is active"
    if active is None:
        return "the file is well-formed; it becomes version 1 at the first start"
    same = active.digest == digest(terms)
    sentences = [f"version {active.version} is active" + (", and the same as file and environment" if same else "")]
    sentences += [
        f"version {version.version} is {version.status} and loosens {', '.join(version.loosens)}: `onramp treasury policy`"
        for version in versions
        if version.status in {VersionStatus.PROPOSED, VersionStatus.APPROVED}
    ]
    if not same:
        sentences.append(
            f"file and environment propose another{_verdict(compare(active.terms, terms))}: `onramp treasury policy`"
        )
    return "; ".join(sentences)


def _verdict(verdict: Unchanged | Tightening | Loosening) -> str:
    if isinstance(verdict, Loosening):
        return f", which loosens {', '.join(verdict.rules)} and waits for two people"
    return ", which loosens nothing and is active from the next start on"
