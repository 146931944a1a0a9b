"""The routes for platforms and operators: health, readiness and metrics."""

import hmac

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from kit.db.database import DATABASE_ERRORS
from kit.http.bearer import bearer_token
from kit.http.documents import Document, reply
from kit.http.problems import Problem
from kit.http.routing import GUARD, Route
from onramp.config.settings import Settings
from onramp.ops.dependencies import OPS


class Alive(Document):
    """The response that says that the process is alive."""

    status: str


class PartResponse(Document):
    """The state of one part of the service."""

    name: str
    ok: bool
    detail: str


class Readiness(Document):
    """The response that says whether the service should receive traffic."""

    status: str
    parts: list[PartResponse]


async def _is_operator(request: web.Request) -> bool:
    """Return whether the request carries a valid API key. An invalid one is not an error here: probes may send any header."""
    if not (bearer_token(request) or "").startswith("ork_"):
        return False
    try:
        await request.app[GUARD].check(request, "viewer")
    except Problem:
        return False
    except DATABASE_ERRORS:
        return False  # keys cannot be looked up; the parts report that the database is unavailable
    return True


async def _readiness(request: web.Request, status: str) -> Readiness:
    parts = request.app[OPS].health.shown(operator=await _is_operator(request))
    return Readiness(
        status=status, parts=[PartResponse(name=part.name, ok=part.ok, detail=part.detail) for part in parts]
    )


async def health(request: web.Request) -> web.StreamResponse:
    """Answer 200 while the process is alive."""
    del request
    return reply(Alive(status="ok"))


async def ready(request: web.Request) -> web.StreamResponse:
    """Answer 200 or 503, with a line for each part."""
    await request.app[OPS].health.recheck()
    is_ready = request.app[OPS].health.ready
    return reply(await _readiness(request, "ready" if is_ready else "not_ready"), status=200 if is_ready else 503)


async def api_health(request: web.Request) -> web.StreamResponse:
    """Answer 200, or 503 if unhealthy, with the status in one word and a line for each part."""
    await request.app[OPS].health.recheck()
    status = request.app[OPS].health.status
    return reply(await _readiness(request, status), status=503 if status == "unhealthy" else 200)


async def metrics(request: web.Request) -> web.StreamResponse:
    """Answer with the metrics in Prometheus' text format."""
    services = request.app[OPS]
    if not _may_scrape(request, services.settings):
        raise Problem(
            401, "unauthorized", "Send METRICS_TOKEN as a bearer token.", headers={"WWW-Authenticate": "Bearer"}
        )
    return _exposition(services.registry)


def _may_scrape(request: web.Request, settings: Settings) -> bool:
    token = settings.METRICS_TOKEN.get_secret_value()
    return not token or hmac.compare_digest(bearer_token(request) or "", token)


def _exposition(registry: CollectorRegistry) -> web.Response:
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def make_metrics_app(settings: Settings, registry: CollectorRegistry) -> web.Application:
    """Create the application of a process without the API: its metrics and its liveness."""

    async def scraped(request: web.Request) -> web.StreamResponse:
        if not _may_scrape(request, settings):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        return _exposition(registry)

    app = web.Application()
    app.router.add_get("/health", health)
    app.router.add_get("/metrics", scraped)
    return app


ROUTES = (
    Route(
        "GET",
        "/health",
        health,
        access="anyone",
        summary="Liveness probe.",
        name="health",
        response=Alive,
        allow_head=True,
    ),
    Route(
        "GET",
        "/ready",
        ready,
        access="anyone",
        summary="Readiness probe, with a line for each part.",
        name="ready",
        response=Readiness,
        responses={503: "A vital part has failed."},
        same_schema=frozenset({503}),
        allow_head=True,
    ),
    Route(
        "GET",
        "/api/health",
        api_health,
        access="anyone",
        summary="The service's health in one word, with a line for each part.",
        name="api_health",
        response=Readiness,
        responses={503: "Unhealthy."},
        same_schema=frozenset({503}),
        allow_head=True,
    ),
    Route(
        "GET",
        "/metrics",
        metrics,
        access="metrics",
        summary="Prometheus metrics; requires METRICS_TOKEN if it is set.",
        name="metrics",
        media=("text/plain",),
        responses={401: "METRICS_TOKEN is missing or wrong."},
    ),
)
