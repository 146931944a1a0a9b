"""Read the policy from file and environment, and propose it as the treasury's terms when the service starts."""

from typing import Final

from kit.clock import Clock
from kit.db.database import Database
from kit.http.problems import Problem
from kit.ids import Ids
from kit.logs import get_logger
from onramp.config.settings import Settings
from onramp.screening.sanctions_list import Screening
from onramp.sessions.config import SessionConfig
from onramp.treasury.purchase_book import SessionPurchases
from treasury.core.hot_wallets import HotWallet
from treasury.policy import parser
from treasury.policy import service as policy_service
from treasury.policy.active import ActivePolicy
from treasury.policy.model import Policy
from treasury.policy.parser import PolicyError
from treasury.policy.states import Terms, VersionStatus
from treasury.policy.version import Version

log = get_logger(__name__)
_TRIES: Final = 3


def read_policy(settings: Settings, rules: SessionConfig) -> Policy:
    """Return the policy in the file TREASURY_POLICY. Raises PolicyError if it cannot be used.

    In development, if the variable is not set and the file does not exist, this is the policy in `treasury.policy.parser`.
    """
    path = settings.TREASURY_POLICY
    if path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(["TREASURY_POLICY: the file cannot be read as UTF-8 text"]) from error
    elif settings.is_production or "TREASURY_POLICY" in settings.model_fields_set:
        raise PolicyError([f"TREASURY_POLICY: there is no file {path.name}; docs/treasury-policy.md shows one"])
    else:
        text = parser.DEVELOPMENT
    policy = parser.parse(text, musd=rules.token)
    problems = parser.fit_session_max(policy, rules.max_minor)
    if problems:
        raise PolicyError(problems)
    return policy


def terms_of(settings: Settings, rules: SessionConfig) -> Terms:
    """Return the terms in file and environment. Raises PolicyError if the file cannot be used."""
    return Terms(read_policy(settings, rules), rules.token, settings.cold_pin(settings.CHAIN_ID))


async def policy_in_force(database: Database, settings: Settings, rules: SessionConfig) -> Policy:
    """Return the active policy of the hot wallet; before the first start that of the file, which the first start makes active. Raises PolicyError."""
    if rules.hot_wallet is not None:
        async with database.read() as conn:
            version = await policy_service.active(conn, HotWallet(rules.chain_id, rules.hot_wallet).key)
        if version is not None:
            return version.terms.policy
    return read_policy(settings, rules)


async def propose(
    database: Database, settings: Settings, rules: SessionConfig, clock: Clock, ids: Ids
) -> Version | None:
    """Propose the terms in file and environment, and return the resulting version; looser terms wait for two persons. Raises PolicyError.

    None if this service pays from no wallet.
    """
    if rules.mode != "payout":
        return None
    # Read before the wallet is checked, so that an invalid file stops the start even if no wallet is configured yet.
    terms = terms_of(settings, rules)
    if rules.hot_wallet is None:
        return None
    scope = HotWallet(rules.chain_id, rules.hot_wallet).key
    for remaining_tries in reversed(range(_TRIES)):
        try:
            async with database.write() as conn:
                await policy_service.apply_due(conn, scope, now=clock.now())
                version = await policy_service.propose(conn, terms, scope=scope, now=clock.now(), ids=ids)
        except Problem:
            # Another process is starting with the same file at the same time.
            if not remaining_tries:
                raise
            continue
        break
    if version.status is not VersionStatus.ACTIVE:
        log.warning("treasury.policy_waits", version=version.version, loosens=list(version.loosens))
    return version


def active_policy(settings: Settings, rules: SessionConfig, wallet: str, screening: Screening) -> ActivePolicy:
    """Return the active policy of `wallet`, which asks this service's sessions and its sanctions list."""
    purchases = SessionPurchases(rules, screening)
    cold = settings.cold_pin(settings.CHAIN_ID)
    return ActivePolicy(HotWallet(rules.chain_id, wallet), cold=cold, purchases=purchases)
