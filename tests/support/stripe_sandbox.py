"""A running Stripe sandbox as a test sees it, a shop that receives its events, and an order for a session."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from onramp.dev.stripe.app import Sandbox as Account

SESSIONS = "/v1/crypto/onramp_sessions"
KEY = "sk_test_1"
SECRET = "whsec_first"
WALLET = "0x" + "ab" * 20
ORDER = {
    "wallet_addresses[ethereum]": WALLET,
    "lock_wallet_address": "true",
    "destination_currency": "usdc",
    "destination_network": "ethereum",
    "destination_currencies[]": "usdc",
    "destination_networks[0]": "ethereum",
    "source_amount": "100",
    "source_currency": "usd",
    "metadata[session_id]": "ons_1",
}


@dataclass(slots=True)
class Answer:
    status: int
    headers: Any
    body: Any

    @property
    def code(self) -> str | None:
        code: str | None = self.body["error"].get("code")
        return code


@dataclass(slots=True)
class Sandbox:
    url: str
    account: Account
    http: aiohttp.ClientSession

    async def call(self, method: str, path: str, *, key: str = KEY, **options: Any) -> Answer:
        headers = {"Authorization": f"Bearer {key}"} | options.pop("headers", {})
        async with self.http.request(
            method, self.url + path, headers=headers, allow_redirects=False, **options
        ) as answer:
            raw = await answer.read()
            read = json.loads(raw) if answer.content_type == "application/json" else raw
            return Answer(answer.status, answer.headers, read)

    async def post(self, data: dict[str, str] | None = None, **headers: str) -> Answer:
        return await self.call("POST", SESSIONS, data=data or {}, headers=headers)

    async def get(self, path: str, **params: str) -> Answer:
        return await self.call("GET", path, params=params)

    async def control(self, what: str, /, **body: Any) -> Answer:
        return await self.call("POST", "/sandbox/" + what, json=body)

    async def create(self, **changes: str) -> dict[str, Any]:
        answer = await self.post(ORDER | changes)
        assert answer.status == 200, answer.body
        session: dict[str, Any] = answer.body
        return session

    async def advance(self, session: dict[str, Any], status: str, **more: Any) -> Answer:
        return await self.control(f"onramp_sessions/{session['id']}/advance", status=status, **more)

    async def deliveries(self, session: dict[str, Any], count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(60):
            while True:
                answer = await self.get(f"/sandbox/onramp_sessions/{session['id']}")
                deliveries: list[dict[str, Any]] = answer.body["deliveries"]
                if len(deliveries) >= count:
                    return deliveries
                await asyncio.sleep(0.01)


@dataclass(slots=True)
class Shop:
    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[tuple[bytes, str]] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body, _ in self.received]

    async def hook(self, request: web.Request) -> web.Response:
        self.received.append((await request.read(), request.headers["Stripe-Signature"]))
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, headers={"Location": "/away"} if 300 <= status < 400 else {})

    async def wait(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(60):
            while len(self.received) < count:
                await asyncio.sleep(0.01)
        return self.events


Serve = Callable[[web.Application], Awaitable[str]]
"""Starts an application on a free port; returns its URL."""
Start = Callable[..., Awaitable[Sandbox]]
"""Starts a sandbox with changes to its configuration."""
