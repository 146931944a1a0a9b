"""The configurations that are explored: each is exhaustive and covers the faults and features that it names."""

from dataclasses import dataclass, replace

from tests.support.sender_model.invariants import (
    FINAL_IS_MINED,
    ONE_OPERATION,
    PAID_ONCE,
    STILL_PAYABLE,
    STRANGER_STOPS,
)
from tests.support.sender_model.rules import AGAINST_OLD_BYTES, ALL, UNPROTECTED, Config, Fault, Feature, Guard

_ANY_NETWORK = frozenset({Feature.FORGET, Feature.LOST_BROADCAST, Feature.SIGNER_DOWN})
_PEOPLE = frozenset({Feature.PERSONS, Feature.HOLDS})

RESTORES = {
    f"a declared restore, depth {depth}": Config(ALL, depth=depth, faults={Fault.RESTORE: 1}) for depth in (1, 2, 3)
}
"""One restore to any earlier state of the database."""
FAILOVERS = {
    f"an undeclared failover, depth {depth}": Config(ALL, depth=depth, faults={Fault.FAILOVER: 1}) for depth in (1, 2)
}
PROCESSES = {
    "two leaders and a crash": Config(
        ALL, faults={Fault.TAKEOVER: 1, Fault.CRASH: 1, Fault.FAILURE: 1}, features=_ANY_NETWORK
    ),
    "two leaders, depth 2": Config(ALL, depth=2, faults={Fault.TAKEOVER: 2, Fault.CRASH: 1}),
    "an unreliable network, depth 2": Config(ALL, depth=2, features=_ANY_NETWORK),
}
CHAINS = {
    "a stranger and a failure": Config(ALL, depth=2, faults={Fault.STRANGER: 1, Fault.FAILURE: 1}),
    "a reorganisation": Config(ALL, depth=2, faults={Fault.REORG: 1, Fault.FAILURE: 1}),
    "higher fees": Config(ALL, depth=2, features=frozenset({Feature.FEE, Feature.FORGET})),
}
PERSONS = {
    "persons": Config(ALL, faults={Fault.FAILURE: 1}, features=_PEOPLE),
    "persons and a restore": Config(
        ALL, kinds=("payout",), faults={Fault.RESTORE: 1, Fault.FAILURE: 1}, features=_PEOPLE
    ),
    "persons, a sweep and a restore": Config(
        ALL, kinds=("sweep",), faults={Fault.RESTORE: 1, Fault.FAILURE: 1}, features=_PEOPLE
    ),
    "a sweep": Config(ALL, kinds=("payout", "sweep"), faults={Fault.FAILURE: 1, Fault.REORG: 1}, features=_PEOPLE),
    "a sweep and a restore": Config(ALL, kinds=("payout", "sweep"), faults={Fault.RESTORE: 1}),
    "a panic": Config(ALL, kinds=("payout", "panic"), faults={Fault.FAILURE: 1, Fault.REORG: 1}, features=_PEOPLE),
    "a panic and a restore": Config(ALL, kinds=("payout", "panic"), faults={Fault.RESTORE: 1}),
}
EXHAUSTIVE = {**RESTORES, **FAILOVERS, **PROCESSES, **CHAINS, **PERSONS}
"""Direct transfers, explored completely by `make test`."""

_BOTH_LIMITS = frozenset({Feature.FORGET, Feature.OUTLIVED})
_REFUSED = {Fault.FAILURE: 1, Fault.REFUSAL: 1}
_PAYONCE = Config(ALL, batch=2)
BATCHES = {
    **{
        f"a declared restore, depth {depth}": replace(_PAYONCE, depth=depth, faults={Fault.RESTORE: 1})
        for depth in (1, 2, 3)
    },
    "a failover, depth 1, of any nodes and processes": replace(
        _PAYONCE, faults={Fault.FAILOVER: 1}, features=_BOTH_LIMITS
    ),
    "a failover, depth 2, of nodes that forget": replace(
        _PAYONCE, depth=2, faults={Fault.FAILOVER: 1}, features=frozenset({Feature.FORGET})
    ),
    "a failover, depth 3": replace(_PAYONCE, depth=3, faults={Fault.FAILOVER: 1}),
    **{
        f"a failover, depth {depth}, of any nodes and processes, without protection": replace(
            _PAYONCE, guards=UNPROTECTED, depth=depth, faults={Fault.FAILOVER: 1}, features=_BOTH_LIMITS
        )
        for depth in (2, 3)
    },
    "a restore, two leaders and a crash, without protection": replace(
        _PAYONCE, guards=UNPROTECTED, faults={Fault.RESTORE: 1, Fault.TAKEOVER: 1, Fault.CRASH: 1}
    ),
    "two leaders and a crash": replace(
        _PAYONCE, faults={Fault.TAKEOVER: 1, Fault.CRASH: 1, Fault.REFUSAL: 1}, features=_ANY_NETWORK
    ),
    "two leaders, depth 2": replace(_PAYONCE, depth=2, faults={Fault.TAKEOVER: 2, Fault.CRASH: 1}),
    "a stranger": replace(_PAYONCE, depth=2, faults={Fault.STRANGER: 1, **_REFUSED}),
    "a reorganisation after a failure": replace(
        _PAYONCE, depth=2, faults={Fault.REORG: 1, Fault.FAILURE: 1}, features=frozenset({Feature.PERSONS})
    ),
    "a reorganisation after a refusal": replace(
        _PAYONCE, depth=2, faults={Fault.REORG: 1, Fault.REFUSAL: 1}, features=frozenset({Feature.PERSONS})
    ),
    "higher fees": replace(_PAYONCE, depth=2, features=frozenset({Feature.FEE, Feature.FORGET})),
    "a failed payment and a restore": replace(_PAYONCE, kinds=("payout",), faults={Fault.RESTORE: 1, **_REFUSED}),
    "a sweep": replace(_PAYONCE, kinds=("payout", "sweep"), faults=_REFUSED, features=_PEOPLE),
    "a panic": replace(_PAYONCE, kinds=("payout", "panic"), faults=_REFUSED, features=_PEOPLE),
}
"""Payments through PayOnce, at most two in a transaction, explored completely by `make test`."""

_THREE = ("payout", "payout", "payout")
LARGE = {
    "three operations, a restore": Config(kinds=_THREE, depth=2, faults={Fault.RESTORE: 1}),
    "three operations, a failover": Config(kinds=_THREE, depth=2, faults={Fault.FAILOVER: 1}),
    "three operations, two leaders and a crash": Config(
        kinds=_THREE, depth=2, faults={Fault.TAKEOVER: 1, Fault.CRASH: 1, Fault.FAILURE: 1}
    ),
    "a restore with two leaders and a crash": Config(faults={Fault.RESTORE: 1, Fault.TAKEOVER: 1, Fault.CRASH: 1}),
    "a restore and a stranger": Config(faults={Fault.RESTORE: 1, Fault.STRANGER: 1}),
    "a restore and an unreliable network": Config(faults={Fault.RESTORE: 1}, features=_ANY_NETWORK),
    "a failover with two leaders": Config(faults={Fault.FAILOVER: 1, Fault.TAKEOVER: 1}),
    "batches, three payouts, a restore": replace(_PAYONCE, kinds=_THREE, faults={Fault.RESTORE: 1}),
    "batches, three payouts, a failover, without protection": replace(
        _PAYONCE, guards=UNPROTECTED, kinds=_THREE, depth=3, faults={Fault.FAILOVER: 1}
    ),
    "batches, a restore with two leaders": replace(_PAYONCE, depth=2, faults={Fault.RESTORE: 1, Fault.TAKEOVER: 1}),
    "batches, a restore and a refusal": replace(_PAYONCE, faults={Fault.RESTORE: 1, Fault.REFUSAL: 1}),
    "batches, a failover of any nodes and processes, depth 2": replace(
        _PAYONCE, depth=2, faults={Fault.FAILOVER: 1}, features=_BOTH_LIMITS
    ),
    "batches, persons and a restore": replace(
        _PAYONCE, kinds=("payout",), faults={Fault.RESTORE: 1, **_REFUSED}, features=_PEOPLE
    ),
}
"""Explored by `make prove`."""

_RESTORED = Config(ALL, faults={Fault.RESTORE: 1})
_RESTORED_2 = Config(ALL, depth=2, faults={Fault.RESTORE: 1})
_FAILED_OVER_2 = Config(ALL, depth=2, faults={Fault.FAILOVER: 1})


@dataclass(frozen=True)
class Mutant:
    """A sender without some guards: in which configuration which invariant falls."""

    config: Config
    guards: tuple[Guard, ...]
    invariant: str
    base: frozenset[Guard] = ALL

    def explored(self) -> Config:
        """Return the configuration of the mutant."""
        return replace(self.config, guards=self.base - set(self.guards))


KNOWN_LIMITS = {
    "the nodes that are asked have forgotten the bytes": replace(_FAILED_OVER_2, features=frozenset({Feature.FORGET})),
    "a process broadcasts after the failover what it stored before": replace(
        _FAILED_OVER_2, features=frozenset({Feature.OUTLIVED})
    ),
}
"""Undeclared failovers with a pipeline that no rule of the sender can make safe: a buyer is paid twice."""
WITHIN_THE_LIMITS = Config(faults={Fault.FAILOVER: 1}, features=frozenset({Feature.FORGET, Feature.OUTLIVED}))
"""The same with one transaction in flight, which is safe."""

MUTANTS = {
    "neither fencing nor compare and set": Mutant(
        Config(depth=2, faults={Fault.TAKEOVER: 1}, features=frozenset({Feature.HOLDS})),
        (Guard.FENCING, Guard.COMPARE_AND_SET),
        PAID_ONCE,
    ),
    "broadcast before it is stored": Mutant(
        Config(depth=2, faults={Fault.CRASH: 1}, features=frozenset({Feature.HOLDS, Feature.FORGET})),
        (Guard.STORE_BEFORE_BROADCAST,),
        PAID_ONCE,
    ),
    "no adoption": Mutant(_RESTORED, (Guard.ADOPTION,), STILL_PAYABLE),
    "neither adoption nor the check of used references": Mutant(
        _RESTORED,
        (Guard.ADOPTION, Guard.USED_REFERENCES),
        PAID_ONCE,
    ),
    "nonces from the chain alone": Mutant(
        Config(depth=2, faults={Fault.TAKEOVER: 1}), (Guard.NONCE_UNIQUE,), ONE_OPERATION
    ),
    "signs before it explains": Mutant(_RESTORED, (Guard.EXPLAIN_FIRST,), PAID_ONCE, UNPROTECTED),
    "a stranger does not stop it": Mutant(Config(faults={Fault.STRANGER: 1}), (Guard.UNMATCHED_STOPS,), STRANGER_STOPS),
    "signs again what may still be mined": Mutant(
        Config(faults={Fault.FAILURE: 1, Fault.REORG: 1}), (Guard.PROVED_DEAD,), PAID_ONCE
    ),
    "a higher fee with another nonce": Mutant(
        Config(depth=2, features=frozenset({Feature.FEE, Feature.FORGET})), (Guard.FEE_BUMP_KEEPS_NONCE,), PAID_ONCE
    ),
    "final without a receipt of its own": Mutant(_RESTORED, (Guard.PROOF,), FINAL_IS_MINED),
    "spends no nonces after a restore": Mutant(_RESTORED_2, (Guard.EMPTY_TRANSFERS,), PAID_ONCE),
    "does not ask who took a nonce": Mutant(_RESTORED_2, (Guard.TAKERS_ARE_KNOWN,), PAID_ONCE),
    "a new leader asks no node": Mutant(_FAILED_OVER_2, (Guard.UNKNOWN_BYTES,), PAID_ONCE),
    "a leader does not remember what it stored": Mutant(_FAILED_OVER_2, (Guard.LOST_WRITES,), PAID_ONCE),
    "a contract that pays twice, and nodes that forget": Mutant(
        BATCHES["a failover, depth 2, of nodes that forget"], (Guard.PAID_ONCE,), PAID_ONCE
    ),
    "a contract that pays twice, and a process that outlives a failover": Mutant(
        replace(_PAYONCE, depth=2, faults={Fault.FAILOVER: 1}, features=frozenset({Feature.OUTLIVED})),
        (Guard.PAID_ONCE,),
        PAID_ONCE,
    ),
    "a payment that the token refused counts as made": Mutant(
        replace(_PAYONCE, faults={Fault.REFUSAL: 1}), (Guard.REFUSED_IS_UNPAID,), FINAL_IS_MINED
    ),
    "a payment that another transaction made counts as this one's": Mutant(
        replace(_PAYONCE, depth=2, faults={Fault.FAILOVER: 1}, features=frozenset({Feature.OUTLIVED})),
        (Guard.PAID_BEFORE_IS_NOT_NOW,),
        FINAL_IS_MINED,
    ),
    "a batch found on chain loses the payments of unknown payouts": Mutant(
        BATCHES["a declared restore, depth 1"], (Guard.UNCLAIMED_PAYMENTS,), STILL_PAYABLE
    ),
    "no batch found on chain is adopted": Mutant(
        BATCHES["a declared restore, depth 1"], (Guard.ADOPTION,), STILL_PAYABLE
    ),
}
"""Removing these guards breaks these invariants."""

REDUNDANT = {
    Guard.FENCING: Guard.COMPARE_AND_SET,
    Guard.USED_REFERENCES: Guard.ADOPTION,
}
"""Guards of direct transfers whose removal alone breaks nothing that the model knows, each with the guard that does the same work."""
REDUNDANT_WITH_PAYONCE = AGAINST_OLD_BYTES | {Guard.PAID_IS_ASKED, Guard.PROVED_DEAD, Guard.USED_REFERENCES}
"""Guards of batches whose removal breaks nothing for one wallet, because the contract refuses the second payment, and it is explained.

They save the gas of transactions that pay nothing. `paid_is_asked` is needed for earlier wallets (`deployments`).
"""
