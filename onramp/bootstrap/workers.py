"""The workers, made of what `onramp.bootstrap.core` chose; and what goes on beside them."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import timedelta

from chain.node.config import parse_ws
from chain.node.new_heads import WakeUps
from kit.audit.worker import AuditChainMetrics, AuditChainWorker
from kit.heartbeats.writer import HeartbeatWriter
from kit.shutdown import within
from kit.worker import Runner, Worker, WorkerMetrics
from onramp.bootstrap.core import Core
from onramp.bootstrap.settlement import recipients_of
from onramp.deliveries.worker import DeliveriesWorker, DeliveryMetrics
from onramp.ops.janitor import Janitor, StateMetrics
from onramp.sessions.payment_finder import PaymentFinder
from onramp.sessions.payment_proof import StripePaymentProof
from onramp.sessions.purchase_recovery import PurchaseRecovery
from onramp.sessions.unknown_purchases import UnknownPurchases
from onramp.sessions.worker import ReconcileWorker
from onramp.treasury import policy_source
from onramp.webhooks.intake import WebhookMetrics
from onramp.webhooks.worker import InboxWorker
from treasury.metrics import PrometheusTreasuryMetrics
from treasury.pause.service import StoredGate
from treasury.payouts.arrivals import Arrivals
from treasury.policy.active import ActivePolicy
from treasury.sender import Sender, SenderConfig
from treasury.sender.wallet_chain import QuorumWalletChain
from treasury.settlements.verification import Watch
from treasury.sweeps.proposals import SweepProposals

STOP_SECONDS = 1.5
"""How long each of what goes on beside the workers may take to stop."""
WORKERS = ("inbox", "reconcile", "deliveries", "treasury", "audit", "janitor")


def make_deliveries(core: Core, changed: Callable[[], None]) -> DeliveriesWorker:
    """What reads the chain: a worker, and at once for a wallet that asks."""
    wallet = [core.rules.hot_wallet] if core.rules.hot_wallet else []
    senders = frozenset(core.settings.delivery_senders if core.rules.mode == "observe" else wallet)
    return DeliveriesWorker(
        core.database,
        core.pool,
        core.rules,
        senders,
        core.clock,
        DeliveryMetrics(core.registry),
        changed,
        core.pace,
    )


def process_name(core: Core) -> str:
    """A name that no other process which shares the database has: leases and heartbeats carry it."""
    return f"{socket.gethostname()[:24]}-{os.getpid()}-{core.ids.new('')[:8]}"


def make_pulse(core: Core, runner: Runner | None, *, serves: bool = False) -> HeartbeatWriter:
    """This process's heartbeats: one for each of its workers, and `api` where it serves requests."""

    def busy() -> dict[str, float]:
        return ({"api": 0.0} if serves else {}) | ({} if runner is None else runner.busy())

    return HeartbeatWriter(core.database, process_name(core), busy, core.clock)


def make_workers(
    core: Core,
    only: Collection[str] = WORKERS,
    *,
    deliveries: DeliveriesWorker | None = None,
    changed: Callable[[], None] = lambda: None,
    webhook_metrics: WebhookMetrics | None = None,
) -> Runner:
    """The workers asked for. `changed` is told when a session moved."""
    metrics = WorkerMetrics(core.registry)
    owner = process_name(core)
    runner: Runner

    def paid() -> None:
        runner.wake("treasury")
        runner.wake("deliveries")
        changed()

    made: dict[str, Worker] = {}
    if "inbox" in only:
        made["inbox"] = InboxWorker(
            core.database,
            core.refresher,
            core.clock,
            owner,
            webhook_metrics or WebhookMetrics(core.registry),
            metrics,
            paid,
        )
    if "reconcile" in only:
        made["reconcile"] = ReconcileWorker(
            core.database,
            core.stripe,
            core.creator,
            core.refresher,
            core.clock,
            owner,
            metrics,
            paid,
            PaymentFinder(core.database, core.earlier, core.rules, core.clock, core.ids, owner),
            UnknownPurchases(core.database, core.rules, core.deployment, core.refresher.ignored),
        )
    if "deliveries" in only:
        made["deliveries"] = deliveries or make_deliveries(core, changed)
    if "treasury" in only and core.signer is not None and core.rules.hot_wallet is not None:
        policy = policy_source.active_policy(core.settings, core.rules, core.rules.hot_wallet, core.screening)
        made["treasury"] = Sender(
            config=SenderConfig(
                chain_id=core.rules.chain_id,
                wallet=core.rules.hot_wallet,
                token=core.rules.token,
                max_in_flight=core.settings.HOT_WALLET_PIPELINE,
            ),
            database=core.database,
            chain=QuorumWalletChain(core.pool, wallet=core.rules.hot_wallet, token=core.rules.token),
            signer=core.signer,
            proof=StripePaymentProof(
                core.database, core.stripe, core.rules, core.deployment, core.earlier, core.settings.ring
            ),
            clock=core.clock,
            ids=core.ids,
            metrics=PrometheusTreasuryMetrics(core.registry),
            cold=core.cold,
            gate=StoredGate(),
            rules=policy,
            orders=orders_of(core, policy),
            purchases=PurchaseRecovery(core.stripe, core.refresher, core.deployment, core.clock, paid),
        )
    if "audit" in only:
        made["audit"] = AuditChainWorker(
            core.database, core.settings.ring, core.clock, AuditChainMetrics(core.registry)
        )
    if "janitor" in only:
        made["janitor"] = Janitor(
            core.database,
            core.clock,
            StateMetrics(core.registry),
            core.screening,
            metrics,
            timedelta(days=core.settings.PRIVACY_RETENTION_DAYS),
            timedelta(days=core.settings.UNPAID_RETENTION_DAYS),
            None if core.usdc is None else Watch(core.database, core.usdc, core.clock, recipients_of(core.rules)),
        )
    runner = Runner(made.values(), core.clock, metrics)
    return runner


def orders_of(core: Core, policy: ActivePolicy) -> SweepProposals | None:
    """Where sweeps come from; None without a cold wallet to sweep to."""
    if core.cold is None or core.rules.hot_wallet is None:
        return None
    return SweepProposals(policy, core.cold, core.rules.hot_wallet, core.ids)


@asynccontextmanager
async def beside(core: Core, runner: Runner | None, pulse: HeartbeatWriter) -> AsyncIterator[None]:
    """What a process that stays up keeps going beside requests and workers: heartbeats, the watch over the nodes, their wake-ups."""

    def wake() -> None:
        core.pace.told()
        if runner is not None:
            runner.wake("deliveries")
            runner.wake("treasury")

    ups = WakeUps(parse_ws(core.settings.MEZO_WS_URLS.get_secret_value()), core.http, wake)
    pulse.start()
    core.watch.start()
    arrivals = None
    if runner is not None:
        ups.start()
        if "treasury" in runner.busy() and core.rules.hot_wallet is not None:
            arrivals = Arrivals(core.database, core.rules.hot_wallet, lambda: runner.wake("treasury"))
            arrivals.start()
    try:
        yield
    finally:
        stops = {"wake-ups": ups.stop(), "watch over the nodes": core.watch.stop(), "heartbeats": pulse.stop()}
        if arrivals is not None:
            stops["arrivals"] = arrivals.stop()
        await asyncio.gather(*(within(STOP_SECONDS, part, stop) for part, stop in stops.items()))
