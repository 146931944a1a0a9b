"""Detect completed purchases at Stripe that this database lacks. If there are any and the database is new, it is probably the wrong one."""

from collections.abc import Iterable
from typing import Final

from chain.types import to_checksum
from kit.alarms import service as alarms_service
from kit.clock import Clock
from kit.db.database import Database
from onramp.deployment import service as deployment_service
from onramp.deployment.service import Deployment, OwnDeployment
from onramp.sessions import service as sessions_service
from onramp.sessions.config import SessionConfig
from onramp.sessions.ignored_sessions import IgnoredSessions
from onramp.sessions.ownership import Ignored, sale_of
from onramp.sessions.status import PaymentStatus
from onramp.stripe.port import METADATA_CHAIN, METADATA_HOT_WALLET, StripeSession

ALARM: Final = "deployment.unknown_purchases"
ADVICE = (
    "None of them is paid here. If they were sold by this service, DATABASE_URL names another database than the one that sold them:"
    " stop, and set DATABASE_URL to that database or restore its backup. If another deployment shares the Stripe account, nothing"
    " needs to be done"
)


class UnknownPurchases:
    """Counts completed purchases that this database lacks, after each long listing of the account; raises an alarm while there are any."""

    def __init__(
        self,
        database: Database,
        config: SessionConfig,
        deployment: OwnDeployment,
        ignored: IgnoredSessions,
        clock: Clock,
    ) -> None:
        self._database = database
        self._config = config
        self._deployment = deployment
        self._ignored = ignored
        self._clock = clock
        self._reported: int | None = None

    async def report(self, ignored: Iterable[StripeSession]) -> None:
        """Store how many of these sessions may be ours; raise the alarm if there are any, again when the number changes."""
        deployment = await self._deployment.get()
        async with self._database.read() as conn:
            has_sold = await sessions_service.any_complete(conn)
        count = count_suspects(ignored, deployment, self._config, has_sold=has_sold)
        self._ignored.unknown.set(count)
        if count == self._reported:
            return
        self._reported = count
        async with self._database.write() as conn:
            await deployment_service.set_unknown_purchases(conn, count)
            if count:
                facts = {"count": count, "deployment": deployment.id, "detail": ADVICE}
                await alarms_service.raise_in(conn, ALARM, deployment.id, self._clock.now(), **facts)
            else:
                await alarms_service.clear(conn, [(ALARM, deployment.id)], self._clock.now())


def count_suspects(
    ignored: Iterable[StripeSession], deployment: Deployment, config: SessionConfig, *, has_sold: bool
) -> int:
    """Return how many of these ignored sessions may have been sold by this service under another database.

    Only fulfilled sessions count that carry no deployment id, or that of another deployment on this chain. One that names our hot wallet
    counts; any other only while this database has completed no purchase (`has_sold` False), and only if it was paid to our settlement
    address, where one is configured.
    """
    return sum(_is_suspect(fact, deployment, config, has_sold=has_sold) for fact in ignored)


def _is_suspect(fact: StripeSession, deployment: Deployment, config: SessionConfig, *, has_sold: bool) -> bool:
    reason, metadata = sale_of(fact, deployment, config), fact.metadata or {}
    if fact.status != PaymentStatus.FULFILLMENT_COMPLETE:
        return False
    if reason not in {Ignored.UNMARKED, Ignored.OTHER_DEPLOYMENT}:
        return False
    if reason is Ignored.OTHER_DEPLOYMENT and metadata.get(METADATA_CHAIN) != str(config.chain_id):
        return False
    if config.hot_wallet is not None and _address(metadata.get(METADATA_HOT_WALLET)) == config.hot_wallet:
        return True
    settlement = config.settlement_address
    is_paid_to_us = settlement is None or (fact.wallet_address or "").lower() == settlement.lower()
    return not has_sold and is_paid_to_us


def _address(text: str | None) -> str | None:
    try:
        return None if text is None else to_checksum(text)
    except ValueError:
        return None
