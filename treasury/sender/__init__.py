"""The sender of a hot wallet: it takes a payout from the queue to a transfer that the chain has proved."""

from treasury.sender.config import SenderConfig
from treasury.sender.context import CHECKPOINTS, SenderContext
from treasury.sender.cycle import Sender

__all__ = ["CHECKPOINTS", "Sender", "SenderConfig", "SenderContext"]
