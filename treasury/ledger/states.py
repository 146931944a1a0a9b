"""The account that holds an operation's amount in each of its states. Pure."""

from enum import StrEnum
from typing import Final

from treasury.core.status import Status

S = Status


class Account(StrEnum):
    """The accounts of the ledger. `available`, `held` and `in_flight` together are the hot wallet; coins come from the others and go to them."""

    AVAILABLE = "available"
    HELD = "held"
    """Coins reserved for a buyer, or for an approved sweep."""
    IN_FLIGHT = "in_flight"
    """Coins in signed transactions that the chain has not decided yet."""
    COLD = "cold"
    PAID_OUT = "paid_out"
    GAS = "gas"
    EXTERNAL_IN = "external_in"
    """The source of top-ups; its balance is below zero."""
    SUSPENSE = "suspense"
    """Coins that are missing on chain, where no row explains why."""
    RECEIVABLE = "receivable"
    """USDC that Stripe owes, or has delivered without our having seen it; one balance for each session."""
    SOLD = "sold"
    """The account from which receivables come; its balance is below zero."""
    SETTLED = "settled"
    """USDC that has arrived, as its chain shows or persons confirmed."""


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
    """Return the account of a payout's or sweep's amount in this status; None for rows of another table."""
    accounts = _OF.get(table)
    return None if accounts is None else accounts.get(status, Account.AVAILABLE)


def kind_of(source: Account, target: Account) -> str:
    """Return the kind of a movement between two accounts. One that leaves a final account is the counter-entry of a reorganisation."""
    if source in {Account.PAID_OUT, Account.COLD}:
        return "counter"
    return _KINDS.get((source, target), "settle")
