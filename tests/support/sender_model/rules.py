"""What a run of the model covers: its bounds, its faults, and the guards of the sender, each of which can be removed by name."""

from dataclasses import dataclass, field, replace
from enum import StrEnum


class Guard(StrEnum):
    """A rule of the sender. A model without one of them is a mutant."""

    FENCING = "fencing"
    """Each write of the leader fails if another process has the lease."""
    COMPARE_AND_SET = "compare_and_set"
    """Bytes are stored only in the row that was allocated for them, if no one changed it since."""
    STORE_BEFORE_BROADCAST = "store_before_broadcast"
    """Bytes are stored before any node gets them."""
    ADOPTION = "adoption"
    """A transaction on the chain that carries an operation's reference is recorded as its payment."""
    USED_REFERENCES = "used_references"
    """An operation whose reference a transaction carries already is held."""
    NONCE_UNIQUE = "nonce_unique"
    """A nonce is above every nonce that a row holds."""
    EXPLAIN_FIRST = "explain_first"
    """Nothing is signed while the chain counts a nonce that no row holds."""
    UNMATCHED_STOPS = "unmatched_stops"
    """Nothing is signed while a transaction of the wallet belongs to no operation and persons have not resolved it."""
    PROVED_DEAD = "proved_dead"
    """An operation is signed again only if no earlier signature for it can be mined."""
    FEE_BUMP_KEEPS_NONCE = "fee_bump_keeps_nonce"
    """A higher fee is offered with the nonce of the transaction that it replaces."""
    PROOF = "proof"
    """An operation is final only with a receipt of one of its own transactions."""
    EMPTY_TRANSFERS = "empty_transfers"
    """While a restore is open, as many nonces in a row as the pipeline is deep are spent by empty transfers before anything is paid."""
    TAKERS_ARE_KNOWN = "takers_are_known"
    """Nothing is signed while the chain counts a nonce of ours and what used it is not proved."""
    UNKNOWN_BYTES = "unknown_bytes"
    """A new leader asks the nodes first; a restore is declared if one counts more transactions than the database knows."""
    LOST_WRITES = "lost_writes"
    """A leader declares a restore if the database no longer holds a nonce for which it stored bytes."""
    PAID_ONCE = "paid_once"
    """PayOnce pays a reference of a payer once."""
    PAID_IS_ASKED = "paid_is_asked"
    """Nothing is signed for a reference that PayOnce has paid."""
    REFUSED_IS_UNPAID = "refused_is_unpaid"
    """A payment that the token refused returns its payout as reverted."""
    PAID_BEFORE_IS_NOT_NOW = "paid_before_is_not_now"
    """A payment that PayOnce refused because another transaction had made it does not count as made by this one."""
    UNCLAIMED_PAYMENTS = "unclaimed_payments"
    """A batch found on chain keeps its payments whose payouts are not known yet, and gives them to payouts that are stored later."""


AGAINST_OLD_BYTES = frozenset({Guard.EMPTY_TRANSFERS, Guard.TAKERS_ARE_KNOWN, Guard.UNKNOWN_BYTES, Guard.LOST_WRITES})
"""What protects against bytes that wait in a node's memory and that a database which was put back does not know."""
UNPROTECTED = frozenset(Guard) - AGAINST_OLD_BYTES
OF_BATCHES = frozenset(
    {
        Guard.PAID_ONCE,
        Guard.PAID_IS_ASKED,
        Guard.REFUSED_IS_UNPAID,
        Guard.PAID_BEFORE_IS_NOT_NOW,
        Guard.UNCLAIMED_PAYMENTS,
    }
)
"""Guards of payments through PayOnce, its own rule among them."""
ALL = frozenset(Guard)


class Fault(StrEnum):
    """What may happen a limited number of times in one history."""

    RESTORE = "restore"
    """All processes stop, a backup is restored, and persons say so."""
    FAILOVER = "failover"
    """The last writes are lost while processes run, and no one says so."""
    REORG = "reorg"
    """The newest block is replaced by one without the wallet's transaction."""
    STRANGER = "stranger"
    """Someone else uses the key."""
    FAILURE = "failure"
    """A transaction is mined and fails."""
    REFUSAL = "refusal"
    """The token refuses one payment of a batch."""
    CRASH = "crash"
    """A leader's process ends inside a step."""
    TAKEOVER = "takeover"
    """A second process takes the lease of one that is suspended inside a step."""


class Feature(StrEnum):
    """What may happen at any time in a history that has the feature."""

    FORGET = "forget"
    """The nodes that the service asks forget everything; another node may repeat it."""
    OUTLIVED = "outlived"
    """A process that is inside a step lives through a failover; without it, only a process between two steps does."""
    LOST_BROADCAST = "lost_broadcast"
    SIGNER_DOWN = "signer_down"
    FEE = "fee"
    """The chain asks for a higher fee."""
    PERSONS = "persons"
    """Persons approve, reject, retry, settle and close."""
    HOLDS = "holds"
    """Checks object to an operation: for now, by the sanctions list, or until a person approves."""


@dataclass(frozen=True)
class Config:
    """The bounds of one exhaustive run."""

    guards: frozenset[Guard] = ALL
    kinds: tuple[str, ...] = ("payout", "payout")
    """By operation: `payout`, `sweep` or `panic`."""
    depth: int = 1
    """HOT_WALLET_PIPELINE: how many nonces may be in use above the chain's count."""
    faults: dict[Fault, int] = field(default_factory=dict)
    features: frozenset[Feature] = frozenset()
    batch: int = 0
    """How many payouts one transaction pays through PayOnce; 0: payouts are direct transfers, one in each transaction."""

    def without(self, *guards: Guard) -> "Config":
        """Return the mutant that lacks these guards."""
        return replace(self, guards=self.guards - set(guards))
