"""What every stage of the sender works with: its settings, its ports, its alarms and its pace."""

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
from treasury.ports import Gate, PaymentProof, PolicyPort, WalletChain
from treasury.signers.protocol import Signer

log = get_logger("treasury.sender")

CHECKPOINTS = ("claimed", "checked", "nonce_taken", "signed", "stored", "broadcast", "mined", "final")
"""The steps of a payout, each named as it is made; a crash test dies at each of them."""

_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class SenderConfig:
    """How one wallet pays; times in seconds, fees in wei for each unit of gas."""

    chain_id: int
    wallet: Address
    token: Address
    asset: str = MUSD
    gas_limit: int = 80_000
    """A transfer to a new holder takes 52,000. Mezo charges at least half the limit, so a generous one costs money."""
    max_fee: int = 50 * GWEI
    max_in_flight: int = 1
    """How many nonces may be given out above the agreed count. Mezo has no queue for later nonces, so that a lost one
    stops those behind it: more than one is for speed, where nodes are near each other."""
    replaces: bool = False
    """Whether the chain takes another transaction of the same nonce for a higher fee. Mezo does not."""
    gone_blocks: int = 5
    """For so many blocks nobody may know of a transaction before another one may take its nonce."""
    stuck_blocks: int = 12
    """Where the chain replaces: blocks after which a higher fee is offered for what is still not mined."""
    lease_seconds: float = 30.0
    rebroadcast_seconds: float = 4.0
    proof_seconds: float = 30.0
    """Between two questions to Stripe about a payout that it contradicted, or that waits for funds."""
    proof_timeout: float = 5.0
    """How long a question to Stripe about one payout may keep the others waiting."""
    scan_seconds: float = 10.0
    """Between two searches for the wallet's unknown transactions."""
    scans_before_unseen: int = 3
    """An empty search proves nothing on Mezo; after so many a nonce is written down without its transaction."""
    lookback_blocks: int = 200_000
    """How far a database that knows nothing searches: some eight days on Mezo."""
    recheck_blocks: int = 32
    """Final transactions this young are compared with the chain's block hashes again."""
    idle_seconds: float = 3.0
    busy_seconds: float = 1.0
    follow_seconds: float = 0.5
    """Between two looks of a process that does not lead: how long payouts stop when the leader is ended in order."""


@dataclass(slots=True)
class Alarms:
    """Each alarm is logged and counted when it begins, not at every cycle that finds it still there."""

    metrics: TreasuryMetrics
    _ringing: set[tuple[str, str]] = field(default_factory=set)

    def ring(self, kind: str, subject: str, **facts: object) -> None:
        """Begin an alarm about `subject`, unless it rings already."""
        if (kind, subject) not in self._ringing:
            self._ringing.add((kind, subject))
            self.metrics.alarm(kind)
            log.critical(f"treasury.{kind}", subject=subject, **facts)

    def clear(self, kind: str, subject: str) -> None:
        """It is over; the next time it is news again."""
        self._ringing.discard((kind, subject))


@dataclass(slots=True)
class Throttle:
    """Keeps a repeated act from being repeated too often; memory only, a restart may repeat it once more."""

    clock: Clock
    _next: dict[str, float] = field(default_factory=dict)

    def due(self, key: str, seconds: float) -> bool:
        """True at most once in `seconds`; asking when it is due starts the next wait."""
        now = self.clock.monotonic()
        if self.waits(key):
            return False
        if len(self._next) > _REMEMBERED:
            self._next = {name: moment for name, moment in self._next.items() if moment > now}
        self._next[key] = now + seconds
        return True

    def wait(self, key: str, seconds: float) -> None:
        """Not due for so long from now, whatever was said before."""
        self._next[key] = self.clock.monotonic() + seconds

    def waits(self, key: str) -> bool:
        """Whether it is not due yet; asking changes nothing."""
        return self._next.get(key, float("-inf")) > self.clock.monotonic()


@dataclass(frozen=True, slots=True)
class SenderContext:
    """The sender's tools, shared by its stages."""

    config: SenderConfig
    database: Database
    chain: WalletChain
    signer: Signer
    proof: PaymentProof
    clock: Clock
    ids: Ids
    metrics: TreasuryMetrics
    leader: Leader
    alarms: Alarms
    pace: Throttle
    checkpoint: Callable[[str], None]
    gate: Gate
    rules: PolicyPort
    cold: ColdWallet | None

    @property
    def hot_wallet(self) -> HotWallet:
        """The wallet that the sender pays from."""
        return HotWallet(self.config.chain_id, self.config.wallet)
