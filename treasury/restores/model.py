"""A restore as a value."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

OPERATION_PREFIX: Final = "nop_rst_"
"""The beginning of the operation id of every transaction that spends a nonce for a restore."""


class Source(StrEnum):
    """How the service learned that its database is older than what it has signed."""

    DECLARED = "declared"
    """A person declared it, with `onramp recover`."""
    UNKNOWN_BYTES = "unknown_bytes"
    """A node counts more transactions of the wallet than this database knows."""
    LOST_WRITES = "lost_writes"
    """The process that signs has stored a higher nonce than the database now holds."""


@dataclass(frozen=True, slots=True)
class Restore:
    """A restore of the database. Nothing is paid until `depth` nonces in a row are spent by this restore's own empty transfers.

    `done_at` is None until then. `declared_by` is the actor of the audit log.
    """

    id: str
    chain_id: int
    wallet: str
    depth: int
    source: Source
    declared_by: str
    note: str
    declared_at: datetime
    done_at: datetime | None

    @property
    def operation_id(self) -> str:
        """The operation id of the restore's empty transfers."""
        return f"nop_{self.id}"
