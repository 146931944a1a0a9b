"""The search over HTTP, by POST: what is searched for may be an e-mail address, and addresses of requests are logged."""

from aiohttp import web

from kit.clock import rfc3339
from kit.http.documents import reply
from kit.http.parsing import body_of
from kit.http.routing import Route
from onramp.operator_views.dependencies import OPERATOR_VIEWS
from onramp.operator_views.schemas import search as schemas
from onramp.operator_views.search_service import search as find


async def search(request: web.Request) -> web.StreamResponse:
    """Return what an id, wallet, hash, reference or e-mail address belongs to."""
    services, query = request.app[OPERATOR_VIEWS], body_of(request, schemas.SearchRequest).query
    async with services.database.read() as conn:
        found = await find(conn, services.ring, query)
    data = [
        schemas.SearchHit(kind=hit.kind, id=hit.id, title=hit.title, status=hit.status, at=rfc3339(hit.at))
        for hit in found
    ]
    return reply(schemas.SearchResponse(data=data, next_cursor=None))


ROUTES = (
    Route(
        "POST",
        "/api/v1/search",
        search,
        access="viewer",
        summary="Find a purchase, payout, sweep, transaction, event or key by a whole id, wallet, hash, reference or e-mail address.",
        name="search",
        body=schemas.SearchRequest,
        response=schemas.SearchResponse,
        needs_code=False,  # it changes nothing
    ),
)
