"""The parts that the operators' views use; `onramp.bootstrap` fills them in."""

from dataclasses import dataclass

from aiohttp import web

from chain.pool.pool import Pool
from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from onramp.ops.health import Health
from treasury.core.hot_wallets import HotWallet
from treasury.policy.active import ActivePolicy


@dataclass(frozen=True, slots=True)
class OperatorViewServices:
    """The parts that the operators' views use."""

    database: Database
    clock: Clock
    ring: KeyRing
    """The keys of personal data, under which e-mail addresses are searched for."""
    pool: Pool
    health: Health
    wallet: HotWallet | None
    """The hot wallet; None if this deployment pays from none."""
    policy: ActivePolicy | None
    """The active policy; None if this deployment pays from no wallet."""
    explorer: str | None
    """The base URL of the chain's block explorer; None if the chain has no known explorer."""


OPERATOR_VIEWS = web.AppKey("operator_views", OperatorViewServices)
