"""The security headers of every response: no sniffing, no framing, no cookies, TLS in production, Stripe's hosts and no others."""

import re
from typing import Any

import pytest
from aiohttp import ClientSession, web
from prometheus_client import CollectorRegistry

from kit.http.middleware import HttpMetrics, HttpMiddleware
from kit.ids import RandomIds
from onramp.bootstrap.app import routes
from onramp.bootstrap.server import start_app
from onramp.checkout.routes import policy as checkout_policy
from onramp.config.loader import load
from onramp.dev.chain.anvil import free_port

STRIPES = ("stripe.com", "link.com")
"""docs.stripe.com/crypto/onramp/embedded, and Link, whose wallet the form offers."""


async def test_every_answer_forbids_sniffing_and_framing_and_sets_no_cookie(service: Any) -> None:
    for route in routes(load()):
        path = re.sub(r"{[^}]+}", "nothing_of_that_name", route.path)
        async with service.http.request(route.method, service.api + path) as answer:
            headers = answer.headers
            assert headers["X-Content-Type-Options"] == "nosniff", path
            assert headers["X-Frame-Options"] == "DENY", path
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path
            assert headers["Referrer-Policy"] == "no-referrer", path
            assert "Set-Cookie" not in headers, path


async def test_pages_that_are_not_the_checkout_load_nothing_from_elsewhere(service: Any) -> None:
    for path in ("/", "/docs", "/invitation"):
        async with service.http.get(service.api + path, headers={"Accept": "text/html"}) as answer:
            assert answer.content_type == "text/html"
            policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert set(re.findall(r"'[a-z-]+'|https?:[^ ;]+", policy)) <= {"'none'", "'self'"}


def test_the_checkout_page_loads_from_itself_and_from_stripe_alone() -> None:
    parts = [part.strip().split(" ", 1) for part in checkout_policy(load(), "sha256-x").split(";")]
    policy = dict(parts)
    assert len(policy) == len(parts), "of two, browsers take the first"
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "'unsafe-inline'" not in policy["script-src"] and "'unsafe-eval'" not in str(policy)
    sources = {source for name, listed in policy.items() for source in listed.split() if name != "style-src"}
    hosts = {source for source in sources if "://" in source}
    assert sources - hosts <= {"'none'", "'self'", "data:"}
    assert all(host.startswith("https://") and host.endswith(STRIPES) for host in hosts)
    assert {"https://js.stripe.com", "https://crypto-js.stripe.com"} <= hosts


async def test_only_allowed_origins_may_embed_the_checkout_page_and_none_another_page(start: Any) -> None:
    shops = ("https://shop.example", "http://localhost:5173")
    service = await start(ALLOWED_ORIGINS=",".join(shops))
    for path in (
        "/checkout",
        "/checkout/s/ons_1",
        "/checkout/main.js",
        "/",
        "/docs",
        "/health",
        "/api/v1/onramp/config",
    ):
        async with service.http.get(service.api + path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            ancestors = re.findall(r"frame-ancestors ([^;]+)", policy)
            if path in {"/checkout", "/checkout/s/ons_1"}:
                assert ancestors == [" ".join(shops)]
                assert "X-Frame-Options" not in answer.headers, "it would refuse these, too"
            else:
                assert ancestors == ["'none'"], path
                assert answer.headers["X-Frame-Options"] == "DENY", path


async def test_production_keeps_browsers_on_tls() -> None:
    async def hello(request: web.Request) -> web.Response:
        del request
        return web.Response(text="hello")

    found = []
    for https in (True, False):
        http_middleware = HttpMiddleware(
            origins=(),
            ids=RandomIds(),
            metrics=HttpMetrics(CollectorRegistry(), "onramp"),
            https=https,
            problem_types="urn:onramp:problem:",
        )
        app = web.Application()
        app.on_response_prepare.append(http_middleware.on_prepare)
        app.router.add_get("/", hello)
        port = free_port()
        runner, _ = await start_app(app, "127.0.0.1", port)
        async with ClientSession() as http, http.get(f"http://127.0.0.1:{port}/") as answer:
            found.append(answer.headers.get("Strict-Transport-Security"))
        await runner.cleanup()
    assert found == ["max-age=31536000; includeSubDomains", None]


@pytest.mark.parametrize("path", ["/health", "/ready", "/api/health"])
async def test_a_monitor_may_ask_without_wanting_the_body(service: Any, path: str) -> None:
    async with service.http.get(service.api + path) as answer:
        status = answer.status
    async with service.http.head(service.api + path) as answer:
        assert (answer.status, await answer.read()) == (status, b"")
