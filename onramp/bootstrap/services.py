"""What the running service is made of, joined in `onramp.bootstrap.app` and nowhere else."""

import asyncio
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry

from chain.pool.pool import Pool
from kit.batching import DataLoader
from kit.clock import Clock
from kit.db.database import Database
from kit.ids import Ids
from onramp.auth.api_keys.authenticator import ApiKeyAuthenticator
from onramp.auth.wallets.tokens import Tokens
from onramp.config.settings import Settings
from onramp.deliveries.worker import DeliveriesWorker
from onramp.ops.health import Health
from onramp.quotes.service import Quotes
from onramp.sessions.change_feed import ChangeFeed
from onramp.sessions.config import SessionConfig
from onramp.sessions.create import Creator
from onramp.sessions.model import Session
from onramp.sessions.refresh import Refresher
from onramp.webhooks.intake import Intake
from treasury.policy.active import ActivePolicy
from treasury.settlements.verification import UsdcChain
from treasury.sweeps.proposals import SweepProposals


@dataclass(frozen=True, slots=True)
class Services:
    """One of each, joined."""

    settings: Settings
    rules: SessionConfig
    database: Database
    pool: Pool
    clock: Clock
    ids: Ids
    registry: CollectorRegistry
    creator: Creator
    refresher: Refresher
    reads: DataLoader[str, Session]
    live: ChangeFeed
    intake: Intake
    quotes: Quotes
    health: Health
    tokens: Tokens
    keys: ApiKeyAuthenticator
    deliveries: DeliveriesWorker
    explorer: str | None
    stopping: asyncio.Event
    policy: ActivePolicy | None
    """What decides over the hot wallet; None where this service pays from none."""
    orders: SweepProposals | None
    """Where sweeps come from; None where no cold wallet is pinned."""
    usdc: UsdcChain | None
    """Shows whether USDC arrived; None where no node of its chain is configured."""


SERVICES = web.AppKey("services", Services)
