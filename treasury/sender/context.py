"""What every stage of the sender works with: settings, ports, alarms and throttle."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from chain.types import Address
from kit.clock import Clock
from kit.db.database import Database
from kit.ids import Ids
from kit.logs import get_logger
from treasury.cold.service import ColdWallet
from treasury.core.assets import GWEI, MUSD
from treasury.core.hot_wallets import HotWallet
from treasury.core.leader import Leader
from treasury.metrics import TreasuryMetrics
from treasury.ports import Gate, PaymentProof, PolicyPort, Purchases, WalletChain
from treasury.signers.protocol import Signer
from treasury.sweeps.proposals import SweepProposals

log = get_logger("treasury.sender")

CHECKPOINTS = ("claimed", "checked", "nonce_taken", "signed", "stored", "broadcast", "mined", "final")
"""The steps of a payout, in order. `SenderContext.checkpoint` is called with each name as the step is done; tests crash there."""

_MAX_THROTTLED = 1_000
"""How many throttle entries are kept before those that have expired are dropped."""


@dataclass(frozen=True, slots=True)
class SenderConfig:
    """How one wallet pays. Times are in seconds, fees in wei for each unit of gas."""

    chain_id: int
    wallet: Address
    token: Address
    asset: str = MUSD
    gas_limit: int = 80_000
    """A transfer to a new holder takes 52,000. Mezo charges at least half the limit, so a generous limit costs money."""
    max_fee: int = 50 * GWEI
    max_in_flight: int = 1
    """How many nonces may be allocated above the chain's agreed count. Mezo has no queue for later nonces, so a lost transaction
    stops those behind it: set more than one for speed, if the nodes are near each other."""
    replaces: bool = False
    """Whether the chain accepts another transaction with the same nonce for a higher fee. Mezo does not."""
    gone_blocks: int = 5
    """For how many blocks no node may know a transaction before another one may use its nonce."""
    stuck_blocks: int = 12
    """On a chain that replaces: after how many blocks a higher fee is offered for a transaction that is not mined."""
    lease_seconds: float = 30.0
    rebroadcast_seconds: float = 4.0
    proof_seconds: float = 30.0
    """Between two questions to Stripe about a payout that it contradicted, or that waits for funds."""
    proof_timeout: float = 5.0
    """The time limit of a question to Stripe about one payout, while the others wait."""
    scan_seconds: float = 10.0
    """Between two searches for the wallet's unknown transactions."""
    scans_before_unseen: int = 3
    """After how many searches a nonce is recorded without its transaction. One empty search proves nothing on Mezo."""
    lookback_blocks: int = 200_000
    """How many blocks an empty database searches back: about eight days on Mezo."""
    recheck_blocks: int = 32
    """For how many blocks a final transaction's block hash is compared with the chain again."""
    idle_seconds: float = 3.0
    busy_seconds: float = 1.0
    follow_seconds: float = 0.5
    """Between two steps of a process that does not lead: how long payouts stop when the leader shuts down in order."""


@dataclass(slots=True)
class Alarms:
    """Logs and counts each alarm once, when it is raised, and not in every cycle until it is cleared."""

    metrics: TreasuryMetrics
    _raised: set[tuple[str, str]] = field(default_factory=set)

    def raise_alarm(self, kind: str, subject: str, **facts: object) -> None:
        """Raise an alarm about `subject`, unless it is raised already."""
        if (kind, subject) not in self._raised:
            self._raised.add((kind, subject))
            self.metrics.alarm(kind)
            log.critical(f"treasury.{kind}", subject=subject, **facts)

    def clear(self, kind: str, subject: str) -> None:
        """End an alarm; it is logged and counted again if it comes back."""
        self._raised.discard((kind, subject))


@dataclass(slots=True)
class Throttle:
    """Limits how often an action is repeated. Kept in memory: after a restart each action may run once more."""

    clock: Clock
    _due_at: dict[str, float] = field(default_factory=dict)

    def due(self, key: str, seconds: float) -> bool:
        """Return whether `key` is due, at most once in `seconds`; a True result starts the next wait."""
        now = self.clock.monotonic()
        if self.is_waiting(key):
            return False
        if len(self._due_at) > _MAX_THROTTLED:
            self._due_at = {key: moment for key, moment in self._due_at.items() if moment > now}
        self._due_at[key] = now + seconds
        return True

    def postpone(self, key: str, seconds: float) -> None:
        """Postpone `key` by `seconds`, overriding any earlier schedule."""
        self._due_at[key] = self.clock.monotonic() + seconds

    def is_waiting(self, key: str) -> bool:
        """Return whether `key` is not due yet, without starting a wait."""
        return self._due_at.get(key, float("-inf")) > self.clock.monotonic()


@dataclass(frozen=True, slots=True)
class SenderContext:
    """The dependencies of one wallet's sender, shared by its stages."""

    config: SenderConfig
    database: Database
    chain: WalletChain
    signer: Signer
    payment_proof: PaymentProof
    clock: Clock
    ids: Ids
    metrics: TreasuryMetrics
    gate: Gate
    policy: PolicyPort
    cold_wallet: ColdWallet | None = None
    """None: nothing is swept."""
    sweep_proposals: SweepProposals | None = None
    """None: no sweep is proposed on a schedule."""
    purchases: Purchases | None = None
    """None: the purchase behind an unknown transaction cannot be looked up, so it stays unidentified."""
    checkpoint: Callable[[str], None] = lambda _: None
    """Called with each of CHECKPOINTS."""
    leader: Leader = field(init=False)
    alarms: Alarms = field(init=False)
    throttle: Throttle = field(init=False)

    def __post_init__(self) -> None:
        """Build the parts that belong to one process. Raises ValueError if the signer signs for another wallet."""
        config = self.config
        if self.signer.address != config.wallet:
            raise ValueError(f"the signer signs for {self.signer.address}, the wallet to pay from is {config.wallet}")
        owner = "snd_" + secrets.token_hex(16)
        leader = Leader(self.database, self.hot_wallet, owner=owner, seconds=config.lease_seconds)
        object.__setattr__(self, "leader", leader)
        object.__setattr__(self, "alarms", Alarms(self.metrics))
        object.__setattr__(self, "throttle", Throttle(self.clock))

    @property
    def hot_wallet(self) -> HotWallet:
        """The wallet that the sender pays from."""
        return HotWallet(self.config.chain_id, self.config.wallet)
