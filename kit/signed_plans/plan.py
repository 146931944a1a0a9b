"""The plan of a command: the text that a person is shown and whose hash their passkey signs.

A plan has one canonical form: JSON with sorted members and without white space, in UTF-8. The challenge of the passkey is the SHA-256
hash of that form, so a signature is valid for one plan and no other.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from kit.clock import rfc3339

VERSION: Final = 1
"""The version of the canonical form. It changes if a member changes its meaning, so that old plans stay readable."""


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What a command would do, as the database says now. Fields that do not apply to the command are None.

    `amount` is decimal text in base units of `asset`, or the word `everything`. `state` names what the subject's row is at present, so that a
    plan is refused once the row has changed. `terms` is a digest of longer contents, such as those of a policy version.
    """

    sentence: str
    """What the command does, as a sentence for the person who signs."""
    asset: str | None = None
    amount: str | None = None
    to: str | None = None
    chain_id: int | None = None
    wallet: str | None = None
    policy_version: str | None = None
    safe_identity: str | None = None
    terms: str | None = None
    proposed_by: str | None = None
    """The person who proposed it; another one has to sign."""
    state: str | None = None

    def members(self) -> dict[str, Any]:
        """Return the facts as members of a plan."""
        return {
            "sentence": self.sentence,
            "asset": self.asset,
            "amount": self.amount,
            "to": self.to,
            "chainId": self.chain_id,
            "wallet": self.wallet,
            "policyVersion": self.policy_version,
            "safeIdentity": self.safe_identity,
            "terms": self.terms,
            "proposedBy": self.proposed_by,
            "state": self.state,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """Exactly one command of one person: facts, note and the other fields of the request, until `expires_at`."""

    action: str
    subject: str
    person: str
    facts: PlanFacts
    note: str
    expires_at: datetime
    nonce: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def members(self) -> dict[str, Any]:
        """Return the plan as the JSON object that is signed."""
        return {
            "version": VERSION,
            "action": self.action,
            "subject": self.subject,
            "person": self.person,
            **self.facts.members(),
            "note": self.note,
            "parameters": dict(self.parameters),
            "expiresAt": rfc3339(self.expires_at),
            "nonce": self.nonce,
        }

    def text(self) -> str:
        """Return the canonical form."""
        return orjson.dumps(self.members(), option=orjson.OPT_SORT_KEYS).decode()


def plan_hash(text: str) -> bytes:
    """Return the 32 bytes that a passkey signs for the canonical form `text`."""
    return hashlib.sha256(text.encode()).digest()
