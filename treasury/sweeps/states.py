"""The life of a sweep. Pure: (state, fact) -> moved | same | refused."""

from enum import StrEnum

from treasury.core.status import Moves, Status

S = Status


class Kind(StrEnum):
    """What a sweep is for."""

    SWEEP = "sweep"
    """Brings the balance down, within floor and limits."""
    PANIC = "panic"
    """Empties the wallet: no floor, no limit, no pause; two persons, always."""


class Reason(StrEnum):
    """Why a sweep is held, or waits though it is signed."""

    COLD_WALLET_UNVERIFIED = "cold_wallet_unverified"
    """The Safe does not prove itself, or is no longer the one that was approved."""
    SWEEPS_PAUSED = "sweeps_paused"
    POLICY = "policy"
    """The policy or the balance changed since it was planned; it would be refused now."""
    FEE_CEILING = "fee_ceiling"
    INSUFFICIENT = "insufficient"
    NOT_ESTIMATED = "not_estimated"
    """No node says what it holds, or what gas it takes: its token may refuse the transfer. Others go on."""
    GAS_LAST = "gas_last"
    """A panic of the gas token waits for those of the others, which it pays for, even until a person has approved them."""
    FORGED = "forged"
    """The row is not what was approved: a hand in the database."""
    WAITING_FOR_SECOND_NODE = "waiting_for_second_node"
    CHAIN_PAUSED = "chain_paused"
    REORG = "reorg"
    DISPLACED = "displaced"
    MISMATCH = "mismatch"


COMES_BACK = frozenset(
    {
        Reason.COLD_WALLET_UNVERIFIED,
        Reason.SWEEPS_PAUSED,
        Reason.POLICY,
        Reason.FEE_CEILING,
        Reason.INSUFFICIENT,
        Reason.NOT_ESTIMATED,
        Reason.GAS_LAST,
    }
)
"""Held for something that is looked at again without a person."""


class Fact(StrEnum):
    """What can become known about a sweep; those after `held` are named as a payout's."""

    ASKED = "asked"
    """Another person has to approve it."""
    APPROVED = "approved"
    """Nobody need approve it, or somebody has."""
    REJECTED = "rejected"
    """A person said no."""
    LAPSED = "lapsed"
    """Its approval, or the wait for one, took too long, or what was approved is no longer so."""
    TAKEN = "taken"
    """Nothing speaks against it now; it has a nonce, or queues for one again."""
    HELD = "held"
    SIGNED = "signed"
    BROADCAST = "broadcast"
    SEEN = "seen"
    PROVEN = "proven"
    REVERTED = "reverted"
    REORGED = "reorged"
    ADOPTED = "adopted"
    """A transaction on chain carries its reference: it was made, whatever we thought."""


_QUEUED = (S.APPROVED, S.HELD)

MOVES: Moves = {
    Fact.ASKED: {S.PLANNED: S.AWAITING_APPROVAL},
    Fact.APPROVED: {S.PLANNED: S.APPROVED, S.AWAITING_APPROVAL: S.APPROVED},
    Fact.REJECTED: dict.fromkeys((S.PLANNED, S.AWAITING_APPROVAL, *_QUEUED), S.REJECTED),
    Fact.LAPSED: dict.fromkeys((S.PLANNED, S.AWAITING_APPROVAL, *_QUEUED), S.CANCELLED),
    Fact.TAKEN: dict.fromkeys(_QUEUED, S.APPROVED),
    Fact.HELD: dict.fromkeys(_QUEUED, S.HELD),
    Fact.SIGNED: {S.APPROVED: S.SIGNED},
    Fact.BROADCAST: {S.SIGNED: S.BROADCAST, S.BROADCAST: S.BROADCAST},
    Fact.SEEN: {S.SIGNED: S.MINED, S.BROADCAST: S.MINED, S.MINED: S.MINED},
    Fact.PROVEN: {S.MINED: S.FINAL, S.FINAL: S.FINAL},
    Fact.REVERTED: {S.SIGNED: S.REVERTED, S.BROADCAST: S.REVERTED, S.MINED: S.REVERTED},
    Fact.REORGED: {S.MINED: S.BROADCAST, S.FINAL: S.BROADCAST},
    Fact.ADOPTED: dict.fromkeys(
        (S.PLANNED, S.AWAITING_APPROVAL, *_QUEUED, S.REJECTED, S.CANCELLED, S.REVERTED), S.BROADCAST
    ),
}
