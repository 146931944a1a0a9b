"""The one sender of a hot wallet: from a payout that is owed to a transfer that the chain has proved."""

from treasury.sender.context import CHECKPOINTS, SenderConfig
from treasury.sender.cycle import Sender

__all__ = ["CHECKPOINTS", "Sender", "SenderConfig"]
