"""A movement before it is posted, and a posting, as values."""

from dataclasses import dataclass
from datetime import datetime

from treasury.core.history import BY
from treasury.ledger.states import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """`amount` base units of `asset` that move from the account `source` to the account `target`.

    `subject` is what moves: the id of a payout, sweep, transaction or session, or the wallet itself. `sequence` counts its movements in
    this asset; a movement with the same subject, asset and sequence is posted once. `at` is when it is posted, `by` who ordered it.
    Raises ValueError if the amount is not above zero.
    """

    wallet: str
    asset: str
    kind: str
    subject: str
    source: Account
    target: Account
    amount: int
    at: datetime
    sequence: int = 0
    block_number: int | None = None
    by: str = BY
    note: str = ""

    def __post_init__(self) -> None:
        if self.amount <= 0:
            raise ValueError("a movement needs an amount above zero")


@dataclass(frozen=True, slots=True)
class Posting:
    """A posted movement of `amount` base units of `asset` from one account to another."""

    id: int
    wallet: str
    asset: str
    kind: str
    subject: str
    sequence: int
    from_account: Account
    to_account: Account
    amount: int
    block_number: int | None
    actor: str
    note: str
    at: datetime
