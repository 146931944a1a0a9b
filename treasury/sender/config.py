"""How one wallet pays: limits, fees, depths and intervals."""

from dataclasses import dataclass

from chain.types import Address
from treasury.core.assets import GWEI, MUSD


@dataclass(frozen=True, slots=True)
class SenderConfig:
    """The configuration of one wallet's sender. Times are in seconds, fees in wei for each unit of gas."""

    chain_id: int
    wallet: Address
    token: Address
    asset: str = MUSD
    contract: Address | None = None
    """The address of PayOnce, through which payouts are paid together; None: each payout is a transfer of its own."""
    gas_limit: int = 80_000
    """The gas limit of a transfer. One to a new holder takes 52,000; Mezo charges at least half the limit, so a generous limit costs money."""
    batch_gas: tuple[int, int] = (270_000, 70_000)
    """The gas that a batch may need, as (for itself, for each payment).

    A payment to a new holder takes 54,000, the contract begins none with less than 160,000 left, and estimates get a quarter more. The
    balance must cover it; the gas limit is estimated for each batch.
    """
    max_fee: int = 50 * GWEI
    max_in_flight: int = 1
    """How many nonces may be allocated above the chain's agreed count.

    Mezo has no queue for later nonces, so a lost transaction stops those behind it: set more than one for speed, if the nodes are near each
    other.
    """
    replaces: bool = False
    """Whether the chain accepts another transaction with the same nonce for a higher fee. Mezo does not."""
    gone_blocks: int = 5
    """For how many blocks no node may know a transaction before another one may use its nonce."""
    stuck_blocks: int = 12
    """On a chain that replaces: after how many blocks a higher fee is offered for a transaction that is not mined."""
    lease_seconds: float = 30.0
    rebroadcast_seconds: float = 4.0
    proof_seconds: float = 30.0
    """Seconds between two questions to Stripe about a payout that it contradicted, or that waits for funds."""
    proof_timeout: float = 5.0
    """Seconds that a question to Stripe about one payout may take, while the others wait."""
    scan_seconds: float = 10.0
    """Seconds between two searches for transactions of the wallet that no row explains."""
    scans_before_unseen: int = 3
    """After how many searches a nonce is recorded without its transaction. One empty search proves nothing on Mezo."""
    lookback_blocks: int = 200_000
    """How many blocks an empty database searches back: about eight days on Mezo."""
    recheck_blocks: int = 32
    """For how many blocks a final transaction's block hash is compared with the chain again."""
    idle_seconds: float = 3.0
    busy_seconds: float = 1.0
    follow_seconds: float = 0.5
    """Seconds between two steps of a process that does not lead; payouts stop about this long when the leader shuts down in order."""

    def gas_of(self, payouts: int) -> int:
        """Return the most gas that `payouts` payouts take, together if the contract is configured."""
        if self.contract is None:
            return payouts * self.gas_limit
        fixed, each = self.batch_gas
        return fixed + payouts * each
