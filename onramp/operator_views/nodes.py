"""The nodes of this process's own pool over HTTP: state, head, latency, credits, and where they contradict each other."""

import orjson
from aiohttp import web

from chain.errors import NoAgreement
from chain.node.disagreements import Disagreement
from chain.pool.health import NodeStatus
from chain.pool.pool import Pool
from kit.clock import rfc3339
from kit.http.documents import reply
from kit.http.routing import Route
from kit.logs import redact
from onramp.operator_views.dependencies import OPERATOR_VIEWS
from onramp.operator_views.schemas import nodes as schemas


async def list_nodes(request: web.Request) -> web.StreamResponse:
    """Return the nodes of this process's pool; nothing is asked of them."""
    pool = request.app[OPERATOR_VIEWS].pool
    unresolved = {node.name: node.disagreements.unresolved for node in pool.nodes}
    return reply(
        schemas.NodeList(
            agreed_head=agreed_head(pool),
            agreement=pool.agreement,
            providers=len(pool.providers),
            halted=pool.halt_reason,
            data=[node_response(status, unresolved.get(status.name, ())) for status in pool.statuses()],
            next_cursor=None,
        )
    )


def agreed_head(pool: Pool) -> int | None:
    """Return the newest block that enough providers report; None while too few do."""
    try:
        return pool.agreed_head()
    except NoAgreement:
        return None


def node_response(status: NodeStatus, unresolved: tuple[Disagreement, ...]) -> schemas.NodeResponse:
    """Return the response for one node, with the calls in which it contradicts the others."""
    return schemas.NodeResponse(
        name=status.name,
        operator=status.provider,
        kind=status.kind,
        health=status.health,
        head=status.head,
        lag=status.lag,
        p50_ms=_milliseconds(status.p50),
        p95_ms=_milliseconds(status.p95),
        requests=status.requests,
        errors=dict(status.errors),
        last_error=None if status.last_error is None else redact(status.last_error),
        credits_used=status.credits_used,
        credits_left=status.credits_left,
        holds_from=status.holds_from,
        pruned_to=status.pruned_to,
        disagreements=[_disagreement(row) for row in unresolved],
    )


def _disagreement(row: Disagreement) -> schemas.DisagreementResponse:
    return schemas.DisagreementResponse(
        method=row.method,
        params=orjson.dumps(row.params).decode(),
        answer=redact(row.said),
        agreed_answer=redact(row.agreed),
        agreed_by=list(row.agreed_by),
        since="" if row.since is None else rfc3339(row.since),
    )


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


ROUTES = (
    Route(
        "GET",
        "/api/v1/nodes",
        list_nodes,
        access="viewer",
        summary="The nodes of this process's pool, and both answers where one contradicts the others.",
        name="list_nodes",
        response=schemas.NodeList,
    ),
)
