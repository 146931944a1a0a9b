"""Responses that fail as the test requested."""

import asyncio

import aiohttp
import pytest

from tests.support.stripe_sandbox import Sandbox

SESSIONS = "/v1/crypto/onramp_sessions"
KEY = {"Idempotency-Key": "k1"}


async def test_a_rate_limit_with_and_without_a_time_to_wait(sandbox: Sandbox) -> None:
    await sandbox.control("faults", kind="429", retry_after=7)
    await sandbox.control("faults", kind="429")
    first, second, third = [await sandbox.post() for _ in range(3)]

    assert (first.status, first.headers["Retry-After"]) == (429, "7")
    assert second.status == 429
    assert "Retry-After" not in second.headers
    assert third.status == 200


async def test_a_failure_before_anything_was_done_is_not_remembered(sandbox: Sandbox) -> None:
    await sandbox.control("faults", kind="500_before", path=SESSIONS, count=2)
    statuses = [(await sandbox.post(None, **KEY)).status for _ in range(3)]
    assert statuses == [500, 500, 200]
    assert len(sandbox.account.store.sessions) == 1


@pytest.mark.parametrize(("kind", "made"), [("500_after", 1), ("500_stored", 0)])
async def test_a_stored_failure_is_given_again_for_ever(sandbox: Sandbox, kind: str, made: int) -> None:
    await sandbox.control("faults", kind=kind)
    first = await sandbox.post(None, **KEY)
    again = await sandbox.post(None, **KEY)

    assert (first.status, again.status) == (500, 500)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(sandbox.account.store.sessions) == made
    assert (await sandbox.post(None, **{"Idempotency-Key": "k2"})).status == 200


async def test_a_connection_dropped_mid_body_had_committed(sandbox: Sandbox) -> None:
    await sandbox.control("faults", kind="drop")
    with pytest.raises(aiohttp.ClientPayloadError):
        await sandbox.post(None, **KEY)
    replay = await sandbox.post(None, **KEY)
    assert replay.headers["Idempotent-Replayed"] == "true"
    assert len(sandbox.account.store.sessions) == 1


async def test_a_connection_reset_before_anything_was_done(sandbox: Sandbox) -> None:
    await sandbox.control("faults", kind="reset", method="POST")
    with pytest.raises(aiohttp.ClientError):
        await sandbox.post(None, **KEY)
    assert len(sandbox.account.store.sessions) == 0


async def test_an_answer_that_comes_too_late_had_committed(sandbox: Sandbox) -> None:
    await sandbox.control("faults", kind="timeout_after")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await sandbox.post(None, **KEY)
    assert (await sandbox.post(None, **KEY)).headers["Idempotent-Replayed"] == "true"
    assert len(sandbox.account.store.sessions) == 1


async def test_a_redirect_counts_the_clients_that_bring_their_key_along(sandbox: Sandbox) -> None:
    await sandbox.control("faults", kind="302")
    answer = await sandbox.post()
    await sandbox.call("GET", "/sandbox/elsewhere")
    assert (answer.status, answer.headers["Location"]) == (302, "http://sandbox.test/sandbox/elsewhere")
    assert (await sandbox.get("/sandbox")).body["leaks"] == 1


async def test_minting_stopped_and_any_other_error(sandbox: Sandbox) -> None:
    await sandbox.control("faults", kind="crypto_onramp_disabled")
    await sandbox.control("faults", kind="error", status=403, code="not_approved", path=SESSIONS)
    await sandbox.control("faults", kind="html")
    disabled, forbidden, gateway = [await sandbox.post() for _ in range(3)]

    assert (disabled.status, disabled.code, disabled.body["error"]["type"]) == (
        400,
        "crypto_onramp_disabled",
        "api_error",
    )
    assert (forbidden.status, forbidden.code) == (403, "not_approved")
    assert gateway.status == 502


async def test_a_fault_is_for_its_path_alone_and_can_be_taken_back(sandbox: Sandbox) -> None:
    await sandbox.control("faults", kind="500_before", path="/v1/events", count=100)
    assert (await sandbox.post()).status == 200
    assert (await sandbox.get("/v1/events")).status == 500
    assert (await sandbox.control("faults")).body == {"faults": []}
    assert (await sandbox.get("/v1/events")).status == 200


async def test_an_unknown_fault_is_refused(sandbox: Sandbox) -> None:
    assert (await sandbox.control("faults", kind="earthquake")).status == 400
    assert (await sandbox.control("chaos", colour="red")).status == 400
