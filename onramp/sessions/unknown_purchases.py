"""Completed purchases at Stripe that may be this deployment's own past: a new database beside them is probably the wrong one."""

from collections.abc import Iterable

from chain.types import to_checksum
from kit.db.database import Database
from kit.logs import get_logger
from onramp.deployment import service as deployment_service
from onramp.deployment.service import Deployment, OwnDeployment
from onramp.sessions import service as sessions_service
from onramp.sessions.config import SessionConfig
from onramp.sessions.ignored_sessions import IgnoredSessions
from onramp.sessions.ownership import Ignored, sale_of
from onramp.stripe.port import METADATA_CHAIN, METADATA_HOT_WALLET, StripeSession

log = get_logger(__name__)
ADVICE = (
    "None of them is paid here. Where they are this service's own, DATABASE_URL names another database than the one that sold them:"
    " stop, and set DATABASE_URL to that database or restore its backup. Where another deployment shares the Stripe account, nothing"
    " needs to be done"
)


class UnknownPurchases:
    """Counts them after each long look at the account, and says so while there are any."""

    def __init__(
        self, database: Database, rules: SessionConfig, deployment: OwnDeployment, ignored: IgnoredSessions
    ) -> None:
        """Nothing is said yet."""
        self._database = database
        self._rules = rules
        self._deployment = deployment
        self._ignored = ignored
        self._told: int | None = None

    async def tell(self, ignored: Iterable[StripeSession]) -> None:
        """Keep how many of these may be ours; an alarm where there are any, again when the number changes."""
        deployment = await self._deployment.get()
        async with self._database.read() as conn:
            has_sold = await sessions_service.any_complete(conn)
        count = count_suspects(ignored, deployment, self._rules, has_sold=has_sold)
        self._ignored.unknown.set(count)
        if count == self._told:
            return
        self._told = count
        async with self._database.write() as conn:
            await deployment_service.set_unknown_purchases(conn, count)
        if count:
            log.critical("deployment.unknown_purchases", count=count, deployment=deployment.id, detail=ADVICE)


def count_suspects(
    ignored: Iterable[StripeSession], deployment: Deployment, rules: SessionConfig, *, has_sold: bool
) -> int:
    """How many of these may have been sold by this service under another database.

    Those that name its hot wallet always; others only while this database has completed no purchase (`has_sold` False), and only
    where they were paid to its settlement address.
    """
    return sum(_is_suspect(fact, deployment, rules, has_sold=has_sold) for fact in ignored)


def _is_suspect(fact: StripeSession, deployment: Deployment, rules: SessionConfig, *, has_sold: bool) -> bool:
    reason, metadata = sale_of(fact, deployment, rules), fact.metadata or {}
    if fact.status != "fulfillment_complete" or reason not in {Ignored.UNMARKED, Ignored.OTHER_DEPLOYMENT}:
        return False
    if reason is Ignored.OTHER_DEPLOYMENT and metadata.get(METADATA_CHAIN) != str(rules.chain_id):
        return False
    if rules.hot_wallet is not None and _address(metadata.get(METADATA_HOT_WALLET)) == rules.hot_wallet:
        return True
    settlement = rules.settlement_address
    is_paid_to_us = settlement is None or (fact.wallet_address or "").lower() == settlement.lower()
    return not has_sold and is_paid_to_us


def _address(text: str | None) -> str | None:
    try:
        return None if text is None else to_checksum(text)
    except ValueError:
        return None
