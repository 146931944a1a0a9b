"""Response models of the overview."""

from typing import Literal

from pydantic import Field

from kit.http.documents import Document
from onramp.treasury.schemas.pause import ScopeResponse

Urgency = Literal["critical", "warning", "info"]


class NextStep(Document):
    """What to do about a problem."""

    sentence: str
    command: str | None = Field(
        description="The command to run next, with its ids filled in; null if no command helps."
    )
    screen: str | None = Field(
        description="The screen of the console that shows more, with its query, such as `queue?id=pay_...`; null if none does."
    )


class ProblemResponse(Document):
    """One thing that is wrong now, or that waits for a person."""

    severity: Urgency
    name: str = Field(
        description="A stable name: an alarm's, `part.<name>` for an unwell part, `pause.<scope>`, `node.<health>`, or `approvals.waiting`."
    )
    subject: str | None = Field(description="The id of what it is about.")
    sentence: str
    next: NextStep
    since: str | None
    alarm_id: str | None = Field(description="The alarm to acknowledge; null if it is no alarm.")
    acknowledged_by: str | None


class HealthPartResponse(Document):
    """The state of one part of this process, as in `/ready`."""

    name: str
    ok: bool
    vital: bool = Field(description="Whether nothing is sold without it.")
    detail: str
    since: str | None = Field(
        description="Since when it is in this state, as this process saw it; null before the first check."
    )


class LeaderResponse(Document):
    """The process that pays from the hot wallet."""

    owner: str | None = Field(description="The process; null if none leads.")
    leads: bool = Field(description="Whether its lease is valid now.")
    lease_until: str | None


class HeadResponse(Document):
    """The newest block that enough providers report to this process."""

    block_number: int
    providers: int = Field(description="How many providers answer.")
    agreement: int = Field(description="How many must agree (CHAIN_AGREEMENT).")


class OverviewResponse(Document):
    """The state of the service now: what is wrong, the most urgent first, and what it is made of."""

    at: str
    status: Literal["healthy", "degraded", "unhealthy"]
    problems: list[ProblemResponse]
    pauses: list[ScopeResponse]
    parts: list[HealthPartResponse]
    leader: LeaderResponse | None = Field(description="Null if this deployment pays from no wallet.")
    head: HeadResponse | None = Field(description="Null while too few providers report a block.")
