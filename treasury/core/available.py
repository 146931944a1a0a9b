"""The result of `treasury.balances.available`: how much the hot wallet has of one asset, and how much of it is not reserved."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Available:
    """Base units of one asset. `available` is what is on chain less what is reserved, and never below zero.

    `block_number` is the block at which the chain was read, `read_at` when a worker last stored that balance; None before the first reading.
    """

    on_chain: int
    reserved: int
    available: int
    block_number: int | None
    read_at: datetime | None = None
