"""One purchase, followed in the log by its session id alone, from the request that created it to the proof of delivery."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
import structlog
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from prometheus_client import CollectorRegistry

from kit.batching import GroupCommit
from kit.http.middleware import HttpMetrics, HttpMiddleware
from kit.ids import RandomIds
from kit.logs import bind, configure, get_logger
from onramp.bootstrap.identity import LOGGERS
from onramp.dev.chain.devchain import DevChain
from onramp.sessions.table import sessions
from tests.support.clocks import OffsetClock
from tests.support.dev_stack import DevStack, dev_process
from tests.support.fake_smtp import fake_smtp
from tests.support.payout_service import payout_service
from tests.support.purchase_records import EMAIL, lines_of, mailed, shown_timeline
from tests.support.service import Service, Start, replica

BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
MOST_BYTES = 2_500
"""Of log for one purchase, over all processes."""
Line = dict[str, Any]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream, before, root = io.StringIO(), structlog.get_config(), logging.getLogger()
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in ("", *LOGGERS)}
    configure("info", "json", stream, own_loggers=LOGGERS)
    yield stream
    structlog.configure(**before)
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def strings_in(value: object) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(strings_in, value.values()))
    if isinstance(value, list):
        return set().union(*map(strings_in, value))
    return {value} if isinstance(value, str) else set()


def story(lines: list[Line], session: str, *more_ids: str) -> list[Line]:
    """Return the lines of a session; assert that every line with one of its other ids has the session id, too."""
    own = [line for line in lines if line.get("session") == session]
    ids = {session, *more_ids}
    for line in own:
        ids |= {
            str(line[name])
            for name in ("stripe_session", "operation", "payout", "transaction", "tx_hash")
            if line.get(name)
        }
        ids |= set(line.get("events", []))
    for line in lines:
        held = {one for one in ids for text in strings_in(line) if one in text}
        assert not held or line.get("session") == session, (held, line)
    return own


def in_order(events: list[str], *expected: str) -> bool:
    remaining = iter(events)
    return all(one in remaining for one in expected)


async def json_of(http: aiohttp.ClientSession, method: str, url: str, **more: Any) -> Any:
    async with http.request(method, url, **more) as answer:
        assert answer.status < 300, (answer.status, await answer.text())
        return await answer.json()


async def create(http: aiohttp.ClientSession, stack: DevStack, request_id: str) -> dict[str, Any]:
    body = {"walletAddress": BUYER, "sourceAmount": "31.40", "sourceCurrency": "usd", "email": EMAIL, "locale": "de"}
    headers = {"X-Request-Id": request_id}
    made: dict[str, Any] = await json_of(
        http, "POST", f"{stack.api}/api/v1/onramp/sessions", json=body, headers=headers
    )
    return made


async def pay(http: aiohttp.ClientSession, stripe: str, made: dict[str, Any]) -> None:
    url = f"{stripe}/sandbox/onramp_sessions/{made['payment']['stripeSessionId']}/advance"
    await json_of(http, "POST", url, json={"status": "fulfillment_complete"})


async def completed(http: aiohttp.ClientSession, api: str, session_id: str) -> None:
    async with asyncio.timeout(60):
        while (await json_of(http, "GET", f"{api}/api/v1/onramp/sessions/{session_id}"))["status"] != "completed":
            await asyncio.sleep(0.1)


def require_whole_timeline(shown: list[dict[str, Any]]) -> None:
    """Assert that a timeline shows a purchase from its creation to the mail about its delivery, in order."""
    moments = [moment["event"] for moment in shown]
    assert in_order(
        moments, "created", "paid", "payout.planned", "transaction.signed", "transaction.broadcast", "payout.mined"
    ), shown
    assert in_order(moments, "transaction.broadcast", "delivered", "mail.delivered.sent"), shown
    assert "payout.final" in moments and [moment["at"] for moment in shown] == sorted(moment["at"] for moment in shown)
    (delivered,) = [moment for moment in shown if moment["event"] == "delivered"]
    assert delivered["detail"].startswith("31.40 MUSD in block ") and ", agreed by " in delivered["detail"]


async def final(stack: DevStack, session_id: str) -> list[Line]:
    """Return the lines of the log, once the treasury's last line about this session is among them."""
    async with asyncio.timeout(30):
        while True:
            lines = lines_of(stack.log.read_text())
            if {"treasury.final", "delivery.confirmed"} <= {
                line["event"] for line in lines if line.get("session") == session_id
            }:
                return lines
            await asyncio.sleep(0.1)


async def test_the_session_id_finds_every_log_line_of_a_purchase_and_of_one_that_was_held(tmp_path: Path) -> None:
    async with fake_smtp() as smtp, aiohttp.ClientSession() as http:
        with dev_process(tmp_path, SMTP_URL=smtp.url, MAIL_FROM="The Shop <orders@shop.example>") as stack:
            made = await create(http, stack, "reported-by-the-buyer-1")
            await pay(http, stack.stripe, made)
            await completed(http, stack.api, made["id"])
            own = story(await final(stack, made["id"]), made["id"], "reported-by-the-buyer-1")
            await mailed(smtp, stack, made["id"])
            assert EMAIL not in stack.log.read_text()
            require_whole_timeline(await shown_timeline(stack, made["id"]))
            own = [line for line in own if not line["event"].startswith("mail.")]
            first, events = own[0], [line["event"] for line in own]
            assert first["event"] == "session.created", own
            assert first["request_id"] == "reported-by-the-buyer-1"
            assert first["stripe_session"] == made["payment"]["stripeSessionId"]
            for last in ("treasury.final", "delivery.confirmed"):
                assert in_order(
                    events, "session.created", "session.payment", "treasury.signed", "treasury.broadcast", last
                )
            (paid,) = [line for line in own if line.get("status") == "fulfillment_complete"]
            assert paid["events"] and paid["payout"].startswith("pay_"), paid
            signed = next(line for line in own if line["event"] == "treasury.signed")
            assert signed["operation"] == paid["payout"] and signed["tx_hash"].startswith("0x")
            assert len(events) <= 10, events
            size = sum(len(json.dumps(line)) for line in own)
            assert size <= MOST_BYTES, (size, own)

            keys = {
                name: {"Authorization": f"Bearer {getattr(stack, name)}"} for name in ("operator", "approver", "admin")
            }
            treasury = f"{stack.api}/api/v1/treasury"
            held = await create(http, stack, "reported-by-the-buyer-2")
            await json_of(http, "POST", f"{treasury}/pause", json={"scope": "payouts"}, headers=keys["operator"])
            await pay(http, stack.stripe, held)
            async with asyncio.timeout(30):
                while not any(
                    line["event"] == "treasury.held" and line.get("session") == held["id"]
                    for line in lines_of(stack.log.read_text())
                ):
                    await asyncio.sleep(0.1)
            await json_of(http, "POST", f"{treasury}/resume", json={"scope": "payouts"}, headers=keys["approver"])
            await completed(http, stack.api, held["id"])
            lines = await final(stack, held["id"])
            own = story(lines, held["id"], "reported-by-the-buyer-2")
            for last in ("treasury.final", "delivery.confirmed"):
                assert in_order(
                    [line["event"] for line in own],
                    *("session.created", "session.payment", "treasury.held", "treasury.queued_again"),
                    *("treasury.signed", "treasury.broadcast", last),
                )
            story(lines, made["id"])


async def test_the_session_id_finds_the_log_lines_of_a_rebuilt_purchase(
    start: Start, sqlite_url: str, chain: DevChain, tmp_path: Path, log: io.StringIO
) -> None:
    async with payout_service(start, sqlite_url, chain, tmp_path) as (service, _):
        _, made = await service.create(sourceAmount="7")
        async with service.database.write() as conn:
            await conn.execute(sa.delete(sessions).where(sessions.c.id == made["id"]))
        await pay(service.http, service.stripe, made)
        async with asyncio.timeout(60):
            while "delivery.confirmed" not in log.getvalue() or "treasury.final" not in log.getvalue():
                await asyncio.sleep(0.1)
        own = story(lines_of(log.getvalue()), made["id"])
    assert in_order(
        [line["event"] for line in own],
        *("session.created", "session.rebuilt", "session.payment", "treasury.signed", "treasury.broadcast"),
    )


async def test_postponed_events_are_logged_with_their_session(start: Start, sqlite_url: str, log: io.StringIO) -> None:
    service = await start()
    service.sandbox.sender.endpoint.url = f"{service.api}/api/v1/webhooks/stripe"
    _, made = await service.create()
    path = f"/v1/crypto/onramp_sessions/{made['payment']['stripeSessionId']}"
    fault = {"kind": "429", "count": 1, "path": path, "retry_after": 60}
    await json_of(service.http, "POST", f"{service.stripe}/sandbox/faults", json=fault)
    await pay(service.http, service.stripe, made)
    async with replica(sqlite_url, service, OffsetClock(), ("inbox",)), asyncio.timeout(60):
        while "fulfillment_complete" not in log.getvalue():
            await asyncio.sleep(0.1)
    own = story(lines_of(log.getvalue()), made["id"])
    assert in_order([line["event"] for line in own], "session.created", "inbox.postponed", "session.payment")
    (postponed, *_) = [line for line in own if line["event"] == "inbox.postponed"]
    assert postponed["stripe_session"] == made["payment"]["stripeSessionId"]
    assert postponed["reason"] == "stripe_unavailable"
    assert all(one.startswith("evt_") for one in postponed["events"])


async def test_a_create_that_fails_at_stripe_is_logged_with_request_and_session(start: Start, log: io.StringIO) -> None:
    service: Service = await start()
    await service.fault("500_before", count=20)
    status, problem = await service.create(key="a-key-of-the-buyer-0001")
    assert status == 503, problem
    async with service.database.read() as conn:
        (session,) = (await conn.execute(sa.select(sessions.c.id))).scalars()
    (line,) = [line for line in lines_of(log.getvalue()) if line["event"] == "session.not_created"]
    assert (line["session"], line["request_id"]) == (session, problem["requestId"])


async def test_nothing_bound_by_one_request_is_in_the_lines_of_the_next_on_its_connection() -> None:
    seen: list[dict[str, Any]] = []

    async def handler(_request: web.Request) -> web.StreamResponse:
        seen.append(structlog.contextvars.get_contextvars())
        bind(session="ons_of_the_first")
        return web.Response()

    http_middleware = HttpMiddleware(
        origins=(),
        ids=RandomIds(),
        metrics=HttpMetrics(CollectorRegistry(), "onramp"),
        https=False,
        problem_types="urn:onramp:problem:",
    )
    for _ in range(2):
        await http_middleware.serve(make_mocked_request("GET", "/"), handler)
    assert [set(one) for one in seen] == [{"request_id"}] * 2


async def test_a_line_about_several_requests_has_the_ids_of_none() -> None:
    seen: list[dict[str, Any]] = []

    async def write(items: Any) -> list[None]:
        seen.append(structlog.contextvars.get_contextvars())
        get_logger("onramp").info("written")
        return [None] * len(items)

    group: GroupCommit[int, None] = GroupCommit(write)
    bind(session="ons_of_the_first", request_id="req_of_the_first")
    await group.submit(1)
    assert seen == [{}]
    assert structlog.contextvars.get_contextvars()["session"] == "ons_of_the_first"
