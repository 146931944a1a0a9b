"""The checks behind /ready. Each returns a sentence if its part is well, and raises an error with a sentence if it is not."""

import math

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Gauge

from chain.pool.health import answering_providers
from chain.pool.pool import Pool
from chain.reads import cursor
from kit.clock import Clock, rfc3339
from kit.db.database import DATABASE_ERRORS, Database, reason_of
from kit.db.pooler import missing_limits, pooling, timeouts
from kit.heartbeats.service import replica_lag
from kit.heartbeats.writer import MAX_CLOCK_OFFSET, HeartbeatWriter
from kit.money import Money
from kit.worker import WorkerRunner
from onramp import migrations
from onramp.deployment import service as deployment_service
from onramp.ops.health import Check, DegradedError, NotWellError
from onramp.sessions import stock
from onramp.sessions.config import SessionConfig
from onramp.stripe.errors import StripeMisconfigured, StripeUnavailable
from onramp.stripe.port import StripeGateway
from onramp.webhooks import service as webhooks_service
from onramp.webhooks.intake import Intake
from treasury.cold.identity import Unverified
from treasury.cold.service import PoolColdWallet
from treasury.pause import service as pause_service
from treasury.signers.protocol import Signer

OLDEST_EVENT_SECONDS = 300.0
REPLICA_SECONDS = 6.0
"""How far the replica may be behind. Heartbeats, by which that is measured, are three seconds apart."""


def database_check(database: Database, pulse: HeartbeatWriter | None = None) -> Check:
    """Return the check that the database answers and accepts writes, which the heartbeats of this process prove every three seconds."""

    async def check() -> str:
        async with database.read() as conn:
            if database.dialect == "postgresql":
                read_only = await conn.scalar(sa.text("SELECT current_setting('transaction_read_only')")) == "on"
            else:
                read_only = await conn.scalar(sa.select(sa.literal(1))) != 1
        if read_only:
            raise NotWellError("the database takes no writes", operator="the database is read only: is it a standby?")
        failure = None if pulse is None else pulse.failure or database.write_refusal
        if failure is not None:
            raise NotWellError("the database takes no writes", operator=f"the database takes no writes: {failure}")
        return database.dialect

    return check


def replica_check(database: Database, registry: CollectorRegistry | None = None) -> Check:
    """Return the check that the read replica answers and is not far behind; while it is not well, lists are read from the primary.

    The lag is a metric of `registry`; of none if that is None.
    """
    lag = Gauge(
        "onramp_replica_lag_seconds",
        "How far the read replica is behind; infinite while it does not answer.",
        registry=registry,
    )

    async def check() -> str:
        try:
            behind = await replica_lag(database)
        except DATABASE_ERRORS as error:
            lag.set(math.inf)
            message = "the read replica does not answer: lists are read from the primary"
            raise NotWellError(message, operator=f"{message} ({reason_of(error) or 'no answer in time'})") from error
        lag.set(behind)
        if behind > REPLICA_SECONDS:
            database.rest_replica()
            raise NotWellError(f"the read replica is {behind:.0f} s behind: lists are read from the primary")
        return f"{behind:.0f} s behind"

    return check


def clock_check(pulse: HeartbeatWriter) -> Check:
    """Return the check that this machine's clock agrees with the database's: if it is five minutes off, Stripe's events are refused."""

    async def check() -> str:
        if pulse.last is None:
            return "not compared yet"
        apart = pulse.last.clock_offset
        if abs(apart) > MAX_CLOCK_OFFSET:
            raise NotWellError(
                f"this machine's clock is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} the database's"
            )
        return "agrees with the database's"

    return check


def webhooks_check(intake: Intake) -> Check:
    """Return the check that Stripe's latest events were not all refused."""

    async def check() -> str:
        if intake.all_refused:
            raise NotWellError(
                "all of Stripe's events are refused",
                operator="all of Stripe's events are refused: compare STRIPE_WEBHOOK_SECRETS with Stripe's endpoint, and this machine's clock",
            )
        return "not all refused"

    return check


def migrations_check(database: Database) -> Check:
    """Return the check that the code can use the database's schema: its own, or a newer one that declares itself compatible."""

    async def check() -> str:
        schema = await migrations.look(database)
        if not schema.is_usable:
            raise NotWellError(str(schema))
        return str(schema)

    return check


def chain_check(pool: Pool, *, watching: bool, database: Database, chain_id: int) -> Check:
    """Return the check that enough node providers answer now. In a process without workers it also reports how far the workers have read."""

    async def check() -> str:
        await pool.refresh()
        count = len(answering_providers(pool.nodes))
        if count < pool.agreement:
            raise NotWellError(
                f"{count} of {len(pool.providers)} providers answer, {pool.agreement} must: deliveries wait"
            )
        head = pool.agreed_head()
        summary = f"{count} providers, agreed head {head}" + (
            f", paused: {pool.halt_reason}" if pool.halt_reason else ""
        )
        if watching:
            return summary
        async with database.read() as conn:
            done = await cursor.known_head(conn, chain_id)
        return f"{summary}, read up to {done}"

    return check


def stripe_check(stripe: StripeGateway) -> Check:
    """Return the check that Stripe answers and accepts the key. The reason of a failure is for operators only."""

    async def check() -> str:
        try:
            await stripe.ping()
        except StripeMisconfigured as error:
            raise NotWellError(error.operator) from error
        except StripeUnavailable as error:
            raise NotWellError(f"Stripe does not serve us: {error.cause or 'unwell'}") from error
        return "answers"

    return check


def signer_check(signer: Signer | None) -> Check:
    """Return the check that the signer holds the key of the configured hot wallet."""

    async def check() -> str:
        if signer is None:
            return "not needed in this process"
        await signer.probe()
        return f"signs for {signer.address}"

    return check


def cold_wallet_check(cold: PoolColdWallet | None) -> Check:
    """Return the check that agreeing providers show the cold wallet as the pinned Safe, at one block. Without a cold wallet (None) it passes."""

    async def check() -> str:
        if cold is None:
            return "no cold wallet is pinned, so nothing is swept: set COLD_SAFE_ADDRESS"
        verdict = await cold.verify()
        if isinstance(verdict, Unverified):
            raise NotWellError(f"{cold.pin.address} does not prove itself, sweeps are stopped. {verdict.detail}")
        pin = cold.pin
        return f"Safe {verdict.version}, {pin.threshold} of {len(pin.owners)}, proved at block {verdict.block_number}"

    return check


def backlog_check(database: Database, clock: Clock, runner: WorkerRunner | None) -> Check:
    """Return the check that no event of Stripe waits for long."""

    async def check() -> str:
        async with database.read() as conn:
            pending, oldest, parked = await webhooks_service.backlog(conn)
        age = 0.0 if oldest is None else (clock.now() - oldest).total_seconds()
        if age > OLDEST_EVENT_SECONDS:
            raise NotWellError(f"{pending} events wait, the oldest for {age:.0f} s: are workers running?")
        idle = "" if runner is not None else ", workers run elsewhere"
        return f"{pending} events wait, {parked} parked{idle}"

    return check


def deployment_check(database: Database) -> Check:
    """Return the check that Stripe shows no completed purchase that should be in this database but is not, as the reconcile worker last counted."""

    async def check() -> str:
        async with database.read() as conn:
            unknown = await deployment_service.unknown_purchases(conn)
        if unknown:
            raise NotWellError(
                "Stripe shows completed purchases that this database does not know: is DATABASE_URL right? `onramp doctor` says more"
            )
        return "knows its own purchases"

    return check


def pooler_check(database: Database) -> Check:
    """Return the check that a pooler in transaction mode is declared in the settings; it also reports the server's limits for statements and locks."""

    async def check() -> str:
        try:
            kind = await pooling(database)
        except DATABASE_ERRORS:
            return "not checked: the database cannot be reached"
        if kind == "transaction" and not database.is_pooled:
            raise NotWellError("the database is behind a pooler in transaction mode: set DATABASE_POOLER=transaction")
        summary = {
            "none": "no pooler",
            "session": "a pooler in session mode",
            "transaction": "a pooler in transaction mode",
            "unknown": "it could not be determined in time whether there is a pooler",
        }[kind]
        if database.dialect == "sqlite":
            return summary
        limits = await timeouts(database)
        if missing := missing_limits(limits):
            return f"{summary}; {', '.join(missing)} is 0, which production refuses: set it for the role with ALTER ROLE ... SET"
        return f"{summary}; " + ", ".join(f"{name} {value}" for name, value in limits.items())

    return check


def pause_check(database: Database) -> Check:
    """Return the check that nothing is paused."""

    async def check() -> str:
        async with database.read() as conn:
            paused = await pause_service.current(conn)
        if paused.ordered:
            since = "; ".join(f"{pause.scope} since {rfc3339(pause.at)}" for pause in paused.ordered)
            raise NotWellError(f"paused: {since}. Another approver resumes with `onramp treasury resume`")
        return "nothing is paused"

    return check


def inventory_check(database: Database, rules: SessionConfig, clock: Clock) -> Check:
    """Return the check that the balance for sale is known; a purchase is refused while no worker has reported it.

    Being sold out is reported but does not make the service unready: buyers who have paid still watch their purchases, Stripe's events
    still arrive, and every other replica sells from the same wallet.
    """

    async def check() -> str:
        if rules.mode != "payout":
            return "not needed: somebody else delivers (observe mode)"
        if rules.hot_wallet is None:
            return "HOT_WALLET_ADDRESS is not set: purchases are sold, and nobody pays them out"
        async with database.read() as conn:
            inventory = await stock.stock(conn, rules, clock.now())
        if inventory.unknown is not None:
            raise NotWellError(inventory.unknown)
        if not inventory.covers(Money(rules.min_minor, "usd")):
            raise DegradedError("sold out: less MUSD is free than the smallest purchase takes. Refill the hot wallet")
        return "the hot wallet's balance is known"

    return check
