"""Create the workers and the other background tasks of a long-lived process."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from chain.node.config import parse_ws
from chain.node.new_heads import NewHeadListener
from kit.audit.worker import AuditChainMetrics, AuditChainWorker
from kit.heartbeats.writer import HeartbeatWriter
from kit.loop_lag import LoopLag
from kit.worker import Worker, WorkerRunner
from onramp.bootstrap.buyer_mail import make_buyer_mail
from onramp.bootstrap.container import Container
from onramp.bootstrap.identity import NAME
from onramp.bootstrap.lifecycle import stop_together_later
from onramp.bootstrap.notices import make_notices
from onramp.bootstrap.outbox import make_consumers
from onramp.hooks.metrics import HookMetrics
from onramp.hooks.worker import WebhookWorker
from onramp.ops.janitor import Janitor, StateMetrics
from onramp.outbox.worker import OutboxWorker
from onramp.sessions.payment_finder import PaymentFinder
from onramp.sessions.payment_proof import StripePaymentProof
from onramp.sessions.purchase_recovery import PurchaseRecovery
from onramp.sessions.unknown_purchases import UnknownPurchases
from onramp.sessions.worker import ReconcileWorker
from onramp.traces.recorder import PurchaseTraces
from onramp.webhooks.worker import InboxWorker
from treasury.pause.service import StoredGate
from treasury.payouts.new_payouts import Arrivals
from treasury.sender import Sender, SenderConfig, SenderContext
from treasury.sender.wallet_chain import QuorumWalletChain
from treasury.settlements.verification import SettlementMonitor

STOP_SECONDS = 1.5
"""Seconds that each background part may take to stop."""
WORKERS = ("inbox", "reconcile", "deliveries", "treasury", "audit", "janitor", "outbox", "webhooks", "mail", "notices")
TELLING = frozenset({"outbox", "webhooks", "mail", "notices"})
"""The workers that only tell others what happened: sales go on without them."""
TELLING_NICE = 10
"""How far a process that runs none but these lowers its priority, so that sales come first on a busy machine (`man 2 nice`)."""


def expected_workers(container: Container) -> list[str]:
    """Return the workers that some process must run, as this deployment is configured."""
    rules = container.rules
    unused = set() if rules.mode == "payout" and rules.hot_wallet is not None else {"treasury"}
    unused |= {"mail"} if container.mailer is None else set()
    return [name for name in WORKERS if name not in unused]


def make_pulse(container: Container, runner: WorkerRunner | None, *, serves: bool = False) -> HeartbeatWriter:
    """Create the writer of this process's heartbeats: one for each of its workers, and `api` if it serves requests."""

    def busy() -> dict[str, float]:
        return ({"api": 0.0} if serves else {}) | ({} if runner is None else runner.busy())

    return HeartbeatWriter(container.database, container.process_name, busy, container.clock, container.alarms)


def make_workers(container: Container, only: Collection[str] = WORKERS) -> WorkerRunner:
    """Create the workers named in `only`; they do not run yet."""
    runner: WorkerRunner

    def paid() -> None:
        runner.wake("treasury")
        runner.wake("deliveries")
        container.live.nudge()

    def planned() -> None:
        """Wake the workers that send what was planned."""
        runner.wake("webhooks")
        runner.wake("mail")
        runner.wake("notices")

    container.alarms.stored = planned

    make: dict[str, Callable[[], Worker | None]] = {
        "inbox": lambda: _inbox(container, paid),
        "reconcile": lambda: _reconcile(container, paid),
        "deliveries": lambda: container.deliveries,
        "treasury": lambda: _treasury(container, paid),
        "audit": lambda: AuditChainWorker(
            container.database,
            container.settings.ring,
            container.clock,
            AuditChainMetrics(container.registry, NAME),
            container.alarms,
        ),
        "janitor": lambda: _janitor(container),
        "notices": lambda: make_notices(container, [name for name in WORKERS if name not in TELLING]),
        "webhooks": lambda: WebhookWorker(
            container.worker_context,
            container.outbound,
            container.settings.ring,
            HookMetrics(container.registry),
            lambda: runner.wake("webhooks"),
        ),
        "outbox": lambda: OutboxWorker(container.worker_context, make_consumers(container), planned),
        "mail": lambda: make_buyer_mail(container),
    }
    made = [make[name]() for name in WORKERS if name in only]
    runner = WorkerRunner(
        [worker for worker in made if worker is not None],
        container.clock,
        container.worker_context.metrics,
        container.alarms,
    )
    return runner


def _inbox(container: Container, paid: Callable[[], None]) -> InboxWorker:
    return InboxWorker(container.worker_context, container.refresher, container.webhook_metrics, paid)


def _reconcile(container: Container, paid: Callable[[], None]) -> ReconcileWorker:
    return ReconcileWorker(
        container.worker_context,
        container.stripe,
        container.creator,
        container.refresher,
        paid,
        PaymentFinder(
            container.database,
            container.earlier,
            container.rules,
            container.clock,
            container.ids,
            container.process_name,
        ),
        UnknownPurchases(container.database, container.rules, container.deployment, container.ignored, container.clock),
    )


def _treasury(container: Container, paid: Callable[[], None]) -> Sender | None:
    """Create the treasury's worker; None if this process cannot sign for a hot wallet."""
    wallet, rules, policy = container.rules.hot_wallet, container.rules, container.policy
    if container.signer is None or wallet is None or policy is None:
        return None
    return Sender(
        SenderContext(
            config=SenderConfig(
                chain_id=rules.chain_id,
                wallet=wallet,
                token=rules.token,
                contract=container.settings.PAYOUT_CONTRACT or None,
                max_in_flight=container.settings.HOT_WALLET_PIPELINE,
            ),
            database=container.database,
            chain=QuorumWalletChain(container.pool, wallet=wallet, token=rules.token),
            signer=container.signer,
            payment_proof=StripePaymentProof(
                container.database,
                container.stripe,
                rules,
                container.deployment,
                container.earlier,
                container.settings.ring,
            ),
            clock=container.clock,
            ids=container.ids,
            metrics=container.treasury_metrics,
            cold_wallet=container.cold,
            gate=StoredGate(),
            policy=policy,
            shared_alarms=container.alarms,
            sweep_proposals=container.sweep_proposals,
            purchases=PurchaseRecovery(
                container.stripe, container.refresher, container.deployment, container.clock, paid
            ),
        )
    )


def _janitor(container: Container) -> Janitor:
    usdc, settings = container.usdc, container.settings
    return Janitor(
        container.worker_context,
        StateMetrics(container.registry),
        container.screening,
        timedelta(days=settings.PRIVACY_RETENTION_DAYS),
        timedelta(days=settings.UNPAID_RETENTION_DAYS),
        None if usdc is None else SettlementMonitor(container.database, usdc, container.clock, container.recipients),
    )


@asynccontextmanager
async def background(container: Container, runner: WorkerRunner | None, pulse: HeartbeatWriter) -> AsyncIterator[None]:
    """While the block runs, send heartbeats, monitor the nodes, and listen for new blocks, as every long-lived process does."""

    def wake() -> None:
        container.block_timer.announce()
        if runner is not None:
            runner.wake("deliveries")
            runner.wake("treasury")

    urls = parse_ws(container.settings.MEZO_WS_URLS.get_secret_value())
    wake_ups, watch, wallet = NewHeadListener(urls, container.http, wake), container.watch, container.rules.hot_wallet
    stops = {"wake-ups": wake_ups.stop, "watch over the nodes": watch.stop, "heartbeats": pulse.stop}
    stops["alarms"] = container.alarms.stop
    lag = LoopLag(container.clock, container.registry, NAME)
    stops["loop lag"] = lag.stop
    async with AsyncExitStack() as stack:
        container.alarms.start()
        lag.start()
        pulse.start()
        watch.start()
        if runner is not None:
            wake_ups.start()
            if "treasury" in runner.busy() and wallet is not None:
                arrivals = Arrivals(container.database, wallet, lambda: runner.wake("treasury"))
                arrivals.start()
                stops["arrivals"] = arrivals.stop
        if container.traces is not None:
            recorder = PurchaseTraces(container.database, container.traces, container.clock)
            recorder.start()
            stops["traces of purchases"] = recorder.stop
        stop_together_later(stack, STOP_SECONDS, stops)
        yield
