"""A database that is away is answered with 503 and Retry-After; a statement that is wrong with 500."""

from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from kit.db.database import Database, connect
from kit.http.middleware import HttpMetrics, HttpMiddleware
from kit.ids import RandomIds


async def answer_of(statement: str, database: Database) -> tuple[int, Any, str | None]:
    http_middleware = HttpMiddleware(
        origins=[],
        ids=RandomIds(),
        metrics=HttpMetrics(CollectorRegistry(), "onramp"),
        https=False,
        problem_types="urn:onramp:problem:",
    )

    @web.middleware
    async def serve(request: web.Request, handler: Any) -> web.StreamResponse:
        return await http_middleware.serve(request, handler)

    async def read(_request: web.Request) -> web.StreamResponse:
        async with database.read() as conn:
            await conn.execute(sa.text(statement))
        return web.Response()

    app = web.Application(middlewares=[serve])
    app.router.add_get("/", read)
    async with TestClient(TestServer(app)) as client, client.get("/") as answer:
        return answer.status, await answer.json(content_type=None), answer.headers.get("Retry-After")


async def test_an_unreachable_database_is_a_503_that_says_when_to_try_again() -> None:
    away = connect("postgresql://nobody:secret@127.0.0.1:9/nothing")
    try:
        status, problem, retry_after = await answer_of("SELECT 1", away)
    finally:
        await away.close()
    assert (status, problem["code"], retry_after) == (503, "database_unavailable", "2")
    assert "secret" not in str(problem)


@pytest.mark.parametrize("statement", ["SELECT nothing FROM nowhere", "SELEKT", "SELECT 1/0 FROM nowhere"])
async def test_a_wrong_statement_is_our_fault(database: Database, statement: str) -> None:
    status, problem, _ = await answer_of(statement, database)
    assert (status, problem["code"]) == (500, "internal_error")
