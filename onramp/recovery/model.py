"""The checklist of a restore as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class StepName(StrEnum):
    """The steps in their order. The values are stored, and shown by `--json`."""

    STOPPED = "stopped"
    """No process runs on this database."""
    MIGRATED = "migrated"
    """The database has the schema of this version."""
    VERIFIED = "verified"
    """The audit trail is whole, and how many of its entries are lost is known."""
    PAUSED = "paused"
    """Sales, payouts and sweeps are paused."""
    DECLARED = "declared"
    """Nothing is paid before nonces are spent, and no earlier leader can write."""
    LOGGED_OUT = "logged_out"
    """Tokens of wallets from before the restore are refused."""
    REBUILT = "rebuilt"
    """Purchases that Stripe completed since the backup are in the database."""
    LISTED = "listed"
    """The records that cannot be rebuilt were listed for the persons who have to make them again."""
    SPENT = "spent"
    """The workers have spent the nonces, and every transaction of the wallet is explained."""
    COMPARED = "compared"
    """Ledger and chain agree, and what is owed is what Stripe completed less what the chain shows as paid."""
    RESUMED = "resumed"
    """Another person has resumed."""


NEEDS_STOPPED = (
    StepName.STOPPED,
    StepName.MIGRATED,
    StepName.VERIFIED,
    StepName.PAUSED,
    StepName.DECLARED,
    StepName.LOGGED_OUT,
)
"""The steps during which no process may run. After them everything is paused, no earlier leader can write, and nothing is paid before
nonces are spent: a process that runs then does no harm, and what the next step does is what its own workers would do.
"""


@dataclass(frozen=True, slots=True)
class StepDone:
    """A finished step; `result` are its findings, as JSON."""

    name: StepName
    done_at: datetime
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recovery:
    """One checklist. `backup_at` is the time of the newest row that was restored; None for an empty database."""

    id: str
    begun_at: datetime
    backup_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a checklist after a run. `waits_for` says what a person has to do next; None once everything is done.

    `recovery` is None while the database is in use or cannot be migrated.
    """

    recovery: Recovery | None
    done: Mapping[StepName, StepDone]
    waits_for: str | None


class NotYet(Exception):
    """A step cannot be done now; the message is a sentence for people that says what to do first."""
