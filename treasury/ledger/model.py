"""A posting as a value."""

from dataclasses import dataclass
from datetime import datetime

from treasury.ledger.states import Account


@dataclass(frozen=True, slots=True)
class Posting:
    """A movement of `amount` base units of `asset` from one account to another."""

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
