"""The parts with which every stage of the sender works: settings, ports, alarms and throttle."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from kit.alarms.alarms import LocalAlarms
from kit.clock import Clock
from kit.db.database import Database
from kit.ids import Ids
from kit.logs import get_logger
from treasury.alarms import Alarms
from treasury.cold.service import ColdWallet
from treasury.core.hot_wallets import HotWallet
from treasury.core.leader import Leader
from treasury.metrics import TreasuryMetrics
from treasury.ports import Gate, PaymentProof, PolicyPort, Purchases, WalletChain
from treasury.sender.config import SenderConfig
from treasury.sender.throttle import Throttle
from treasury.signers.protocol import Signer
from treasury.sweeps.proposals import SweepProposals

log = get_logger("treasury.sender")

CHECKPOINTS = ("claimed", "checked", "nonce_taken", "signed", "stored", "broadcast", "mined", "final")
"""The steps of a payout, in order. `SenderContext.checkpoint` is called with each name as the step is done; tests crash there."""


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
    """The pinned cold wallet; None if none is configured, so nothing is swept."""
    sweep_proposals: SweepProposals | None = None
    """The source of scheduled sweeps; None if no sweep is proposed on a schedule."""
    purchases: Purchases | None = None
    """The completed purchases at Stripe; None if they cannot be looked up, so the purchase behind an unknown transaction stays unidentified."""
    shared_alarms: LocalAlarms = field(default_factory=LocalAlarms)
    """The alarms of the service; by default alarms are only logged."""
    checkpoint: Callable[[str], None] = lambda _: None
    """A function that is called with each name of CHECKPOINTS when the step is done."""
    leader: Leader = field(init=False)
    alarms: Alarms = field(init=False)
    throttle: Throttle = field(init=False)

    def __post_init__(self) -> None:
        """Create the parts that belong to one process. Raises ValueError if the signer signs for another wallet."""
        config = self.config
        if self.signer.address != config.wallet:
            raise ValueError(f"the signer signs for {self.signer.address}, the wallet to pay from is {config.wallet}")
        owner = "snd_" + secrets.token_hex(16)
        leader = Leader(
            self.database,
            self.hot_wallet,
            owner=owner,
            seconds=config.lease_seconds,
            pipeline_depth=config.max_in_flight,
        )
        object.__setattr__(self, "leader", leader)
        object.__setattr__(self, "alarms", Alarms(self.metrics, self.shared_alarms))
        object.__setattr__(self, "throttle", Throttle(self.clock))

    @property
    def hot_wallet(self) -> HotWallet:
        """The wallet that the sender pays from."""
        return HotWallet(self.config.chain_id, self.config.wallet)
