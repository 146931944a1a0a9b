"""The parts that the treasury's routes use; `onramp.bootstrap` fills them in."""

from dataclasses import dataclass

from aiohttp import web

from chain.pool.pool import Pool
from kit.clock import Clock
from kit.db.database import Database
from kit.ids import Ids
from onramp.config.settings import Settings
from onramp.sessions.config import SessionConfig
from onramp.treasury.audit_verification import AuditVerifier
from treasury.policy.active import ActivePolicy
from treasury.settlements.verification import Recipients, UsdcChain
from treasury.sweeps.proposals import SweepProposals


@dataclass(frozen=True, slots=True)
class TreasuryServices:
    """The parts that the treasury's routes use."""

    settings: Settings
    rules: SessionConfig
    database: Database
    pool: Pool
    clock: Clock
    ids: Ids
    policy: ActivePolicy | None
    """The active policy; None if this deployment pays from no wallet."""
    orders: SweepProposals | None
    """The part that proposes sweeps; None if no cold wallet is pinned."""
    usdc: UsdcChain | None
    """The reader of the chain of USDC, which shows whether USDC arrived; None if no node of that chain is configured."""
    recipients: Recipients
    """A reader of the addresses to which the USDC of sessions may have gone."""
    audit_verifier: AuditVerifier


TREASURY = web.AppKey("treasury", TreasuryServices)
