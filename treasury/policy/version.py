"""A version of the policy as a value."""

from dataclasses import dataclass
from datetime import datetime

from treasury.policy.states import Terms, VersionStatus


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the terms of one hot wallet; `scope` is the wallet's key.

    `loosens` names the rules that two persons have to approve. `applies_at` is when the version becomes active, once they have approved.
    `proposed_person` is None while only the file has proposed it.
    """

    id: str
    scope: str
    version: int
    status: VersionStatus
    terms: Terms
    digest: str
    loosens: tuple[str, ...]
    active_key: str | None
    proposed_by: str
    proposed_person: str | None
    approved_by: str | None
    approved_person: str | None
    applies_at: datetime | None
    created_at: datetime
    updated_at: datetime
