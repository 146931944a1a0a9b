"""The doctor: checks each part of a deployment on its own, so that one broken part does not hide another."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from chain.errors import ChainError
from kit.clock import SystemClock
from kit.db.database import DATABASE_ERRORS, reason_of
from kit.http.problems import Problem
from kit.logs import redact
from onramp.bootstrap.container import Container, open_container
from onramp.config.loader import SettingsError, load
from onramp.config.settings import Settings
from onramp.config.validation import guessable
from onramp.deployment import service as deployment_service
from onramp.deployment.service import Deployment
from onramp.doctor import chain, client, contract, records
from onramp.doctor.connections import connections
from onramp.doctor.mail import mail
from onramp.limits.counter import SharedCounts
from onramp.ops import readiness_checks
from onramp.ops.health import DegradedError, NotWellError
from onramp.screening.sanctions_list import ListError, Screening, ScreeningMetrics
from onramp.sessions import service as sessions_service
from onramp.sessions.unknown_purchases import ADVICE, count_suspects
from onramp.sessions.worker import LONG_LIST_BACK
from treasury.core import hot_wallets
from treasury.signers.protocol import SignerError

if TYPE_CHECKING:
    from onramp.stripe.port import StripeSession

LIMIT_SECONDS = 12.0
_PAGES = 10
"""How many pages of a hundred sessions are read from Stripe: enough for an answer, few enough to be quick."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report."""

    name: str
    ok: bool
    detail: str


async def examine() -> list[Finding]:
    """Run all checks and return the findings in the order in which a person would fix them."""
    try:
        settings = load()
    except SettingsError as error:
        return [Finding("settings", ok=False, detail="; ".join(error.problems))]
    found = [_settings(settings)]
    async with open_container(settings) as container:
        parts: list[Awaitable[Finding | list[Finding]]] = [
            _finding("database", readiness_checks.database_check(container.database)),
            _finding("migrations", readiness_checks.migrations_check(container.database)),
            _finding("pooler", readiness_checks.pooler_check(container.database)),
            _finding("connections", lambda: connections(container)),
            _finding("deployment", _deployment(container)),
            *(
                [_finding("replica", readiness_checks.replica_check(container.database))]
                if container.database.has_replica
                else []
            ),
            _redis(settings),
            _within("agreement", _nodes(container)),
            _within("settlement", _settlement(container)),
            _finding("stripe", readiness_checks.stripe_check(container.stripe)),
            _finding("signer", _signer(container)),
            _finding("inventory", _inventory(container)),
            _finding("treasury_policy", lambda: records.policy(container)),
            _finding("cold_wallet", readiness_checks.cold_wallet_check(container.cold)),
            _finding("database_writes", lambda: records.writes(container)),
            _finding("workers", lambda: records.workers(container)),
            _finding("webhooks", lambda: records.webhooks(container)),
            _finding("client", client.client),
            *([_finding("mail", lambda: mail(container.mailer))] if container.mailer else []),
        ]
        examined: list[Finding | list[Finding]] = list(await asyncio.gather(*parts))
        # After the nodes were compared: that comparison finds a node that contradicts the others, which is then not trusted here.
        examined += await asyncio.gather(
            _finding("token", lambda: chain.token(container)),
            _finding("hot_wallet", lambda: chain.hot_wallet(container)),
            _finding("clock", lambda: chain.clock(container)),
            *(
                [_finding("payout_contract", lambda: contract.payout_contract(container))]
                if settings.PAYOUT_CONTRACT or settings.DELIVERY_MODE == "payout"
                else []
            ),
        )
    for item in examined:
        found += item if isinstance(item, list) else [item]
    return found


def _environment(settings: Settings) -> str:
    sentences = [settings.ENVIRONMENT, *guessable(settings)]
    if not settings.DATA_KEYS.get_secret_value():
        sentences.append(
            "DATA_KEYS is not set, so the publicly known development key is used: set one before anything real is stored"
        )
    if not (settings.SANCTIONS_LIST or settings.SANCTIONS_ORACLE):
        sentences.append("SANCTIONS_LIST is not set: addresses are not screened")
    if settings.is_production and settings.SESSION_CREATION == "open":
        sentences.append(
            "SESSION_CREATION is open, so any page or script may start purchases: `keyed` leaves that to your own server, and is recommended"
        )
    return "; ".join(sentences)


def _inventory(container: Container) -> Callable[[], Awaitable[str]]:
    ask = readiness_checks.inventory_check(container.database, container.rules, container.clock)

    async def check() -> str:
        try:
            return await ask()
        except DATABASE_ERRORS:
            return "the database does not answer, so the hot wallet's balance is unknown"

    return check


def _deployment(container: Container) -> Callable[[], Awaitable[str]]:
    async def check() -> str:
        try:
            async with container.database.read() as conn:
                own = await deployment_service.read(conn)
                wallets = await hot_wallets.others(conn, container.rules.chain_id, None)
                has_sold = await sessions_service.any_complete(conn)
        except DATABASE_ERRORS:
            return "the database does not answer, so its deployment id is unknown"
        if own is None:
            raise NotWellError("this database has no deployment id: the next start makes one")
        identity = f"{own.id}, hot wallets so far: {', '.join(wallets) or 'none'}"
        count, more = await _unknown(container, own, has_sold=has_sold)
        if count:
            number = f"{'at least ' if more else ''}{count} completed purchase{'' if count == 1 else 's'}"
            raise NotWellError(f"{identity}; Stripe shows {number} that this database does not know. {ADVICE}")
        return identity

    return check


async def _unknown(container: Container, own: Deployment, *, has_sold: bool) -> tuple[int, bool]:
    """Return how many completed purchases at Stripe may belong to this deployment but are missing here, and whether not all were checked."""
    since, after = int((container.clock.now() - LONG_LIST_BACK).timestamp()), None
    found: list[StripeSession] = []
    for _ in range(_PAGES):
        try:
            page = await container.stripe.list_completed(created_gte=since, starting_after=after)
        except Problem:
            break  # the line about Stripe reports the reason
        found += page.sessions
        after = page.after
        if after is None:
            break
    async with container.database.read() as conn:
        known = await sessions_service.payment_statuses(conn, [fact.id for fact in found])
    missing = [fact for fact in found if fact.id not in known]
    return count_suspects(missing, own, container.rules, has_sold=has_sold), after is not None


def _settings(settings: Settings) -> Finding:
    warnings = []
    if not settings.STRIPE_SECRET_KEY.get_secret_value():
        warnings.append("STRIPE_SECRET_KEY is not set")
    if not settings.webhook_secrets:
        warnings.append("STRIPE_WEBHOOK_SECRETS is not set")
    warnings += [problem for problem in (settings.agreement_problem(), settings.settlement_problem()) if problem]
    if settings.DELIVERY_MODE == "payout":
        needed = {"SETTLEMENT_ADDRESS": settings.SETTLEMENT_ADDRESS, "HOT_WALLET_ADDRESS": settings.hot_wallet}
        warnings += [f"{name} is not set" for name, value in needed.items() if not value]
    try:
        Screening(settings.SANCTIONS_LIST, SystemClock(), ScreeningMetrics(CollectorRegistry())).load()
    except ListError as error:
        warnings.append(f"SANCTIONS_LIST: {error}")
    return Finding("settings", ok=not warnings, detail="; ".join(warnings) or _environment(settings))


async def _finding(name: str, check: Callable[[], Awaitable[str]]) -> Finding:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return Finding(name, ok=True, detail=await check())
    except TimeoutError:
        return Finding(name, ok=False, detail=f"no answer within {LIMIT_SECONDS:.0f} s")
    except NotWellError as error:
        return Finding(name, ok=False, detail=redact(error.operator))
    except (Problem, ChainError, SignerError, DegradedError) as error:
        return Finding(name, ok=False, detail=redact(str(error)))
    except DATABASE_ERRORS as error:
        return Finding(name, ok=False, detail=redact(reason_of(error)))
    except Exception as error:  # noqa: BLE001 - the error of a driver is the finding; its text, which may hold a URL, is redacted
        return Finding(name, ok=False, detail=redact(f"{type(error).__name__}: {error}".splitlines()[0])[:200])


async def _within(name: str, findings: Awaitable[list[Finding]]) -> list[Finding]:
    """Return the findings of a check that has several, or a single one if it did not end in time."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await findings
    except TimeoutError:
        return [Finding(name, ok=False, detail=f"no answer within {LIMIT_SECONDS:.0f} s")]


def _signer(container: Container) -> Callable[[], Awaitable[str]]:
    async def check() -> str:
        if container.rules.mode == "observe":
            return "not needed in observe mode"
        if container.signer is None:
            needed = {
                "local": "HOT_WALLET_KEYSTORE and HOT_WALLET_PASSWORD",
                "aws-kms": "AWS_KMS_KEY_ID",
                "gcp-kms": "GCP_KMS_KEY_VERSION",
            }
            raise NotWellError(
                f"there is no hot wallet: set HOT_WALLET_ADDRESS, and {needed[container.settings.HOT_WALLET_SIGNER]}"
            )
        await container.signer.probe()
        return f"signs for {container.signer.address}"

    return check


async def _redis(settings: Settings) -> Finding:
    url = settings.REDIS_URL.get_secret_value()
    if not url:
        return Finding("redis", ok=True, detail="not configured: limits are counted in each process")

    async def check() -> str:
        counts = SharedCounts(url, SystemClock(), CollectorRegistry(), settings.ring)
        try:
            await counts.probe()
        except Exception as error:
            raise NotWellError(
                f"Redis cannot be used ({counts.error_text(error)}): limits are counted in each process meanwhile"
            ) from error
        finally:
            await counts.close()
        return "counts what replicas share"

    return await _finding("redis", check)


async def _nodes(container: Container) -> list[Finding]:
    pool = container.pool
    if not pool.nodes:
        return [Finding("agreement", ok=False, detail="no nodes: set MEZO_RPC_URLS or SPECTRUM_RPC_URLS")]
    await pool.refresh()
    await asyncio.sleep(1.0)
    compared = await container.watch.cross_check()
    found = []
    for status in pool.statuses():
        state = status.last_error or "no answer" if status.head is None else f"head {status.head}, {status.lag} behind"
        spent = f", {status.credits_used} credits used"
        spent += "" if status.credits_left is None else f" and {status.credits_left} left"
        quick = f", p50 / p95 {status.milliseconds} ms, errors: {status.went_wrong}"
        against = "".join(f"; {difference}" for difference in compared.contradictions if difference.node == status.name)
        detail = f"{status.health}, {status.kind}: chain {pool.chain_id}, {state}{quick}{spent}{against}"
        found.append(Finding(f"node:{status.name}", ok=status.health == "alive", detail=detail))
    try:
        head = pool.agreed_head()
    except ChainError as error:
        return [*found, Finding("agreement", ok=False, detail=str(error))]
    answering = f"{len(pool.heads())} of {len(pool.providers)} providers answer, {pool.agreement} must agree; agreed head {head}"
    split = [str(difference) for difference in compared.contradictions if difference.node is None]
    same = [f"the same to enough of them: {', '.join(compared.agreed)}"] if compared.agreed else []
    detail = "; ".join([answering, *split, *same])
    return [*found, Finding("agreement", ok=compared.is_decided, detail=detail)]


async def _settlement(container: Container) -> list[Finding]:
    """Check the nodes of the chain that Stripe delivers on, a line each, and the token there. No node configured: no line."""
    usdc = container.usdc
    if usdc is None:
        return []
    pool = usdc.pool
    await pool.refresh()
    found = []
    for status in pool.statuses():
        state = status.last_error or "no answer" if status.head is None else f"head {status.head}"
        detail = f"{status.health}: chain {pool.chain_id}, {state}"
        found.append(Finding(f"settlement:{status.name}", ok=status.health == "alive", detail=detail))

    async def token() -> str:
        code = (await pool.quorum("eth_getCode", [usdc.token, hex(pool.agreed_head())])).value
        if code in {"0x", None}:
            raise NotWellError(
                f"there is no contract at {usdc.token} of chain {pool.chain_id}: is SETTLEMENT_USDC_ADDRESS right?"
            )
        return f"USDC is {usdc.token} of chain {pool.chain_id}; {pool.agreement} of {len(pool.providers)} providers must agree"

    return [*found, await _finding("settlement", token)]
