"""Request and response models of the search."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from kit.clock import rfc3339
from kit.http.documents import Document
from onramp.operator_views.search_service import Hit

Kind = Literal["purchase", "payout", "sweep", "transaction", "event", "key", "alarm", "settlement", "policy"]


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

    kind: Kind
    id: str
    title: str
    status: str
    at: str


class SearchResponse(Document):
    """What was found, at most 50 of each kind, purchases first."""

    data: list[SearchHit]
    next_cursor: str | None


def hits(found: list[Hit]) -> SearchResponse:
    """Return the response for what was found."""
    data = [
        SearchHit.model_validate(
            {"kind": hit.kind, "id": hit.id, "title": hit.title, "status": hit.status, "at": rfc3339(hit.at)}
        )
        for hit in found
    ]
    return SearchResponse(data=data, next_cursor=None)
