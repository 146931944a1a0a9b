"""Response models of what waits for a person."""

from pydantic import Field

from kit.http.documents import Document


class WaitingResponse(Document):
    """One decision that waits for a person."""

    action: str = Field(
        description="What decides it: `payout.approve`, `payout.retry`, `sweep.approve`, `policy.approve`, `key.confirm`, "
        "`incident.answer`, `settlement.confirm`, `settlement.reverse` or `pause.resume`."
    )
    subject: str = Field(
        description="The id of what it is about; a scope for `pause.resume`, an asset for missing coins."
    )
    sentence: str = Field(description="What it would do, with the whole amount and address.")
    proposed_by: str | None = Field(
        description="The id of a key, or a worker's name; null if nobody has proposed it yet."
    )
    proposed_at: str | None
    expires_at: str | None = Field(description="When it lapses; for a key, when it works without confirmation.")
    may_approve: bool = Field(description="Whether the caller may decide it, as far as role and person tell.")
    why: str | None = Field(description="Why the caller may not.")


class WaitingList(Document):
    """Everything that waits for a person, the oldest first: at most 200 payouts and 200 sweeps."""

    data: list[WaitingResponse]
    next_cursor: str | None
