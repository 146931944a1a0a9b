"""Response models of the nodes of this process's own pool."""

from pydantic import Field

from kit.http.documents import Document


class DisagreementResponse(Document):
    """A call that a node answered differently from the others, with both answers."""

    method: str
    params: str = Field(description="The call's parameters, as JSON.")
    answer: str = Field(
        description="What the node answered: as JSON, or the reason of a revert; at most 2,000 characters."
    )
    agreed_answer: str = Field(
        description="What the others answered. Of two objects, only the fields that differ are shown."
    )
    agreed_by: list[str] = Field(description="The providers that gave the agreed answer.")
    since: str = Field(description="When this process first saw the difference.")


class NodeResponse(Document):
    """One node of this process's pool: names and numbers, never its URL."""

    name: str
    operator: str = Field(description="Who runs it: the providers, not the nodes, must agree.")
    kind: str = Field(description="`Spectrum` for private nodes, which are asked first; `public` for the others.")
    health: str = Field(
        description="`alive`, `lagging`, `set aside`, `cooling down`, `unreachable`, `wrong chain`, `out of budget` or `untested`."
    )
    head: int | None
    lag: int | None = Field(description="Blocks behind the best node.")
    p50_ms: int | None = Field(description="The median duration of its newest answers, in milliseconds.")
    p95_ms: int | None
    requests: int = Field(description="Since this process started.")
    errors: dict[str, int] = Field(description="The number of errors by kind, since this process started.")
    last_error: str | None
    credits_used: int = Field(description="Credits used this month; an estimate.")
    credits_left: int | None
    holds_from: int | None = Field(description="The earliest block that it was proven to have.")
    pruned_to: int | None = Field(description="The newest block that it was proven to lack.")
    disagreements: list[DisagreementResponse] = Field(
        description="What it contradicts the others in and has not taken back, at most 8. Until it does, its answers do not count."
    )


class NodeList(Document):
    """The nodes of this process's pool, in the order of preference."""

    agreed_head: int | None = Field(description="The newest block that enough providers report; null while too few do.")
    agreement: int = Field(description="How many providers must agree (CHAIN_AGREEMENT).")
    providers: int
    halted: str | None = Field(description="Why the chain counts as halted; null if it does not.")
    data: list[NodeResponse]
    next_cursor: str | None
