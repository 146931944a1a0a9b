"""Request and response models of the search."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from kit.http.documents import Document

HitKind = Literal["purchase", "payout", "sweep", "transaction", "event", "key", "alarm", "settlement", "policy"]


def _query(text: str) -> str:
    text = text.strip()
    if not text or "\0" in text:
        raise ValueError("must be an id, a wallet, a transaction hash, a payment's reference or an e-mail address")
    return text


class SearchRequest(Document):
    """What to search for. It is in the body, so that an e-mail address is in no log."""

    query: Annotated[str, Field(max_length=255), AfterValidator(_query)] = Field(
        description="An id of ours or of Stripe's, a wallet, a transaction hash, a dApp's reference, a payment's reference on chain, or the"
        " buyer's e-mail address, all of them whole."
    )


class SearchHit(Document):
    """One thing that was found."""

    kind: HitKind
    id: str
    title: str
    status: str
    at: str


class SearchResponse(Document):
    """What was found, at most 50 of each kind, purchases first."""

    data: list[SearchHit]
    next_cursor: str | None
