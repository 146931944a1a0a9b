"""Request id, CORS, security headers and metrics of every response."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from kit.http.middleware import HttpMetrics, HttpMiddleware
from kit.http.problems import Problem
from kit.ids import RandomIds

PREFLIGHT = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}


async def answer(
    method: str = "GET",
    path: str = "/",
    *,
    registry: CollectorRegistry | None = None,
    https: bool = False,
    **options: Any,
) -> tuple[int, Any, Any]:
    middleware = HttpMiddleware(
        origins=["https://shop.example"],
        ids=RandomIds(),
        metrics=HttpMetrics(registry or CollectorRegistry(), "test"),
        https=https,
        problem_types="urn:test:",
    )

    @web.middleware
    async def serve(request: web.Request, handler: Any) -> web.StreamResponse:
        return await middleware.serve(request, handler)

    async def hello(_request: web.Request) -> web.StreamResponse:
        return web.json_response({}, headers={"Cache-Control": "max-age=60"})

    async def broken(_request: web.Request) -> web.StreamResponse:
        raise ValueError("a secret")

    async def refused(_request: web.Request) -> web.StreamResponse:
        raise Problem(409, "taken", "It is taken.", headers={"Retry-After": "1"})

    app = web.Application(middlewares=[serve])
    app.on_response_prepare.append(middleware.on_prepare)
    app.router.add_get("/", hello)
    app.router.add_get("/broken", broken)
    app.router.add_get("/refused", refused)
    async with TestClient(TestServer(app)) as client, client.request(method, path, **options) as response:
        return response.status, await response.json(content_type=None), response.headers


@pytest.mark.parametrize(
    ("sent", "kept"), [("trace-12345", True), ("short", False), ("not valid!", False), ("a" * 129, False)]
)
async def test_a_well_formed_request_id_is_kept_and_any_other_is_replaced(sent: str, kept: bool) -> None:
    _, _, headers = await answer(headers={"X-Request-Id": sent})
    assert (headers["X-Request-Id"] == sent) == kept
    assert kept or headers["X-Request-Id"].startswith("req_")


async def test_security_headers_are_set_and_a_handlers_own_value_wins() -> None:
    _, _, headers = await answer()
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "max-age=60"
    assert "Strict-Transport-Security" not in headers
    assert "Strict-Transport-Security" in (await answer(https=True))[2]


async def test_a_page_of_an_allowed_origin_may_read_responses_and_another_may_not() -> None:
    _, _, headers = await answer(headers={"Origin": "https://shop.example"})
    assert headers["Access-Control-Allow-Origin"] == "https://shop.example" and headers["Vary"] == "Origin"
    _, _, headers = await answer(headers={"Origin": "https://other.example"})
    assert "Access-Control-Allow-Origin" not in headers and headers["Vary"] == "Origin"
    assert "Vary" not in (await answer())[2]


async def test_a_preflight_is_answered_without_calling_a_handler() -> None:
    status, _, headers = await answer("OPTIONS", "/nowhere", headers=PREFLIGHT)
    assert status == 204 and "POST" in headers["Access-Control-Allow-Methods"]
    assert "Idempotency-Key" in headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/broken", 500, "internal_error"), ("/refused", 409, "taken"), ("/nowhere", 404, "not_found")],
)
async def test_errors_are_problem_documents_with_the_request_id(path: str, status: int, code: str) -> None:
    answered, problem, headers = await answer(path=path)
    assert (answered, problem["code"], problem["type"]) == (status, code, f"urn:test:{code}")
    assert problem["requestId"] == headers["X-Request-Id"] and "secret" not in str(problem)
    assert headers["Content-Type"].startswith("application/problem+json")


def test_success_and_failure_of_each_declared_route_start_at_0() -> None:
    registry = CollectorRegistry()
    HttpMetrics(registry, "test").declare([("POST", "/orders", 201)])
    for status, value in (("201", 0), ("500", 0), ("409", None)):
        labels = {"method": "POST", "route": "/orders", "status": status}
        assert registry.get_sample_value("test_http_requests_total", labels) == value


async def test_responses_are_counted_by_route_and_not_by_path() -> None:
    registry = CollectorRegistry()
    await answer(path="/an/unknown/path", registry=registry)
    labels = {"method": "GET", "route": "unmatched", "status": "404"}
    assert registry.get_sample_value("test_http_requests_total", labels) == 1
    assert registry.get_sample_value("test_http_request_duration_seconds_count", labels) == 1
