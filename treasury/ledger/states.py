"""Which account an operation's amount stands in, state by state. Pure."""

from enum import StrEnum
from typing import Final

from treasury.core.status import Status

S = Status


class Account(StrEnum):
    """`available`, `held` and `in_flight` together are the hot wallet; the others are where coins come from and go."""

    AVAILABLE = "available"
    HELD = "held"
    """Promised: to a buyer, or to an approved sweep."""
    IN_FLIGHT = "in_flight"
    """Signed, and the chain has not had its last word."""
    COLD = "cold"
    PAID_OUT = "paid_out"
    GAS = "gas"
    EXTERNAL_IN = "external_in"
    """Where top-ups come from; its balance is below zero."""
    SUSPENSE = "suspense"
    """Gone from the chain, and no row says why."""
    RECEIVABLE = "receivable"
    """USDC that Stripe has delivered or owes, by session."""
    SOLD = "sold"
    """The other side of what is receivable."""
    SETTLED = "settled"
    """USDC that a person has seen arrive."""


HOT: Final = (Account.AVAILABLE, Account.HELD, Account.IN_FLIGHT)

_UNSIGNED = (S.PLANNED, S.AWAITING_APPROVAL, S.APPROVED, S.HELD)
_FLYING = (S.SIGNED, S.BROADCAST, S.MINED)
_PAYOUT = {**dict.fromkeys(_UNSIGNED, Account.HELD), **dict.fromkeys(_FLYING, Account.IN_FLIGHT)}
_SWEEP = {**dict.fromkeys((S.APPROVED, S.HELD), Account.HELD), **dict.fromkeys(_FLYING, Account.IN_FLIGHT)}
_OF: Final = {
    "treasury_payouts": {**_PAYOUT, S.FINAL: Account.PAID_OUT},
    "treasury_sweeps": {**_SWEEP, S.FINAL: Account.COLD},
}

_KINDS: Final = {
    (Account.AVAILABLE, Account.HELD): "hold",
    (Account.HELD, Account.AVAILABLE): "release",
    (Account.HELD, Account.IN_FLIGHT): "sign",
    (Account.IN_FLIGHT, Account.AVAILABLE): "revert",
    (Account.AVAILABLE, Account.IN_FLIGHT): "adopt",
}


def account_of(table: str, status: Status) -> Account | None:
    """Where the amount of a payout or sweep stands; None for rows that are neither."""
    accounts = _OF.get(table)
    return None if accounts is None else accounts.get(status, Account.AVAILABLE)


def kind_of(source: Account, target: Account) -> str:
    """What such a movement is called; one that leaves a last account is the counter-entry of a reorganisation."""
    if source in {Account.PAID_OUT, Account.COLD}:
        return "counter"
    return _KINDS.get((source, target), "settle")
