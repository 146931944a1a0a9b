"""The parts and options with which the steps of a restore work."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from chain.types import Address
from kit.audit.actor import Actor
from kit.audit.hash_chain import Head
from kit.audit.service import LOCAL_OPERATOR
from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.ids import Ids
from onramp.sessions.config import SessionConfig
from onramp.sessions.refresh import Refresher
from onramp.stripe.port import StripeGateway
from treasury.core.hot_wallets import HotWallet


@dataclass(frozen=True, slots=True)
class Options:
    """The choices of the person who runs the checklist.

    `heads` were published by the audit trail before the loss; `without_head` says that none is known. `depth` is the deepest pipeline that
    was ever configured, if it was deeper than the backup knows. `deployment` is the id of a deployment whose database is lost, without a
    backup: its sessions are taken over. `unused` are earlier hot wallets that have signed nothing since the backup. `person` may not resume.
    """

    heads: Sequence[Head] = ()
    without_head: bool = False
    depth: int = 1
    deployment: str = ""
    unused: Sequence[Address] = ()
    person: str = LOCAL_OPERATOR
    note: str = ""


@dataclass(frozen=True, slots=True)
class RecoveryContext:
    """The parts that the steps use. `hot_wallet` is None if this deployment pays from none."""

    database: Database
    stripe: StripeGateway
    refresher: Refresher
    config: SessionConfig
    ring: KeyRing
    clock: Clock
    ids: Ids
    pipeline_depth: int
    """The value of HOT_WALLET_PIPELINE: how many transactions may be in flight."""
    options: Options
    is_migrated: Callable[[], Awaitable[bool]]
    """A function that returns whether the database has the schema of this version."""
    migrate: Callable[[], Awaitable[tuple[str | None, str]]]
    """A function that migrates the database and returns the revisions before and after. Raises NotYet."""

    @property
    def hot_wallet(self) -> HotWallet | None:
        """The wallet that buyers are paid from; None if this deployment pays from none."""
        address = self.config.hot_wallet
        return None if address is None else HotWallet(self.config.chain_id, address)

    @property
    def actor(self) -> Actor:
        """The local operator, as the person who runs the checklist."""
        return Actor(LOCAL_OPERATOR, self.options.person)
