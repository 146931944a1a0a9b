"""Messages reach their receivers at least once, with the same id and bytes, on the schedule, whatever the receivers do."""

import asyncio
import random
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from kit.alarms import service as alarms_service
from kit.db.database import Database, connect
from kit.db.types import db_now
from kit.http.outbound import OutboundResponse
from onramp.hooks import deliveries as deliveries_service
from onramp.hooks import worker as hooks_worker
from onramp.hooks.attempts import USER_AGENT
from onramp.hooks.schedule import DELAYS, next_delay
from onramp.hooks.table import EndpointStatus, endpoints
from tests.support.hooks_world import HooksWorld, Received, answer, fail, settled

A, B = "https://a.example/hook", "https://b.example/hook"


@pytest.fixture
def world(database: Database) -> HooksWorld:
    return HooksWorld(database)


async def test_a_message_goes_once_to_each_endpoint(world: HooksWorld) -> None:
    await world.add("a")
    await world.add("b")
    (message,) = await world.emit()
    await world.send()
    await world.send()
    assert [request.id for request in world.receivers.at(A)] == [message]
    assert [request.id for request in world.receivers.at(B)] == [message]
    request = world.receivers.at(A)[0]
    assert request.headers["User-Agent"] == USER_AGENT
    assert request.headers["Content-Type"] == "application/json"
    assert request.document == {
        "type": "key.created", "timestamp": "2026-11-21T00:00:00.000Z", "data": {"id": "key_0"},
    }  # fmt: skip
    assert {row.status for row in await world.deliveries()} == {"delivered"}
    assert world.registry.get_sample_value("onramp_hook_attempts_total", {"outcome": "delivered"}) == 2


async def test_a_failed_message_is_repeated_on_the_schedule_with_the_same_id_and_bytes(world: HooksWorld) -> None:
    await world.add("a")
    world.receivers.answers[A] = answer(500, body=b"broken \0 here")
    await world.emit()
    await world.send()
    times = [world.clock.now()]
    while (due := await world.next_due()) is not None:
        world.clock.advance((due - world.clock.now()).total_seconds() - 1)
        await world.send()
        assert len(world.receivers.received) == len(times), "sent before it was due"
        world.clock.advance(1)
        await world.send()
        times.append(world.clock.now())
    waits = [(after - before).total_seconds() for before, after in pairwise(times)]
    assert len(waits) == len(DELAYS)
    assert all(delay <= wait <= 1.2 * delay + 1 for delay, wait in zip(DELAYS, waits, strict=True)), waits
    assert len(set(waits)) > 5
    assert len({(request.id, request.body) for request in world.receivers.received}) == 1
    assert len({request.headers["webhook-timestamp"] for request in world.receivers.received}) == len(times)
    (row,) = await world.deliveries()
    assert row.status == "failed" and len(row.attempts) == 11
    assert row.response_body == "broken \ufffd here"
    assert {attempt["outcome"] for attempt in row.attempts} == {"refused"}


async def test_retry_after_makes_the_wait_longer_up_to_a_day(world: HooksWorld) -> None:
    await world.add("a")
    await world.emit()
    for header, least, most in (("120", 120, 120), ("1", 30, 36), ("999999", 86_400, 86_400)):
        world.receivers.answers[A] = answer(429, {"Retry-After": header})
        await world.send()
        due = await world.next_due()
        assert due is not None
        assert least <= (due - world.clock.now()).total_seconds() <= most
        world.clock.advance((due - world.clock.now()).total_seconds())
    world.receivers.answers[A] = answer(500, {"Retry-After": "86400"})
    await world.send()
    due = await world.next_due()
    assert due is not None and (due - world.clock.now()).total_seconds() <= 1.2 * 1800


@pytest.mark.parametrize("status", [199, 204, 299, 301, 308, 404])
async def test_only_a_2xx_answer_is_success(world: HooksWorld, status: int) -> None:
    await world.add("a")
    world.receivers.answers[A] = answer(status, {"Location": B})
    await world.emit()
    await world.send()
    (row,) = await world.deliveries()
    assert row.status == ("delivered" if 200 <= status < 300 else "pending")
    assert len(world.receivers.received) == 1


async def test_10000_messages_wait_for_a_receiver_that_is_away_for_three_days(sqlite_url: str) -> None:
    database = connect(sqlite_url)
    world = HooksWorld(database)
    await world.add("a")
    world.receivers.answers[A] = fail()
    ids = {message for _ in range(10) for message in await world.emit(1_000)}
    back = world.clock.epoch + timedelta(days=3)
    await world.send()
    world.clock.advance((back - world.clock.now()).total_seconds())
    del world.receivers.answers[A]
    await world.send()
    assert {request.id for request in world.receivers.received[10_000:]} == ids, "nothing is lost"
    assert len(world.receivers.received) == 20_000
    assert (await world.endpoint("a")).status == "enabled"
    await database.close()


async def test_a_slow_receiver_gets_four_requests_at_a_time_and_delays_no_other(world: HooksWorld) -> None:
    await world.add("a")
    await world.add("b")
    release = asyncio.Event()

    async def hang(_: Received) -> OutboundResponse:
        await release.wait()
        return OutboundResponse(200, {}, b"")

    world.receivers.answers[A] = hang
    await world.emit(50)
    await world.worker.step()
    await settled(lambda: len(world.receivers.at(B)) == 50 and len(world.receivers.at(A)) == 4)
    assert await world.worker.step() is False, "a step never waits for a receiver"
    assert world.receivers.most[A] == 4
    release.set()
    await world.worker.idle()
    assert world.receivers.most[A] == 4
    assert len(world.receivers.at(A)) == 50


async def test_two_workers_never_send_the_same_message(world: HooksWorld) -> None:
    await world.add("a")
    other = world.make_worker("two")
    ids = await world.emit(300)
    await asyncio.gather(*(worker.step() for worker in (world.worker, other) for _ in range(3)))
    await asyncio.gather(world.worker.idle(), other.idle())
    assert sorted(request.id for request in world.receivers.received) == sorted(ids)
    assert world.receivers.most[A] == 4


async def test_a_worker_that_stops_gives_the_endpoint_back_and_another_repeats_what_was_cut_off(
    world: HooksWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks_worker, "STOP_SECONDS", 0.1)
    await world.add("a")
    (message,) = await world.emit()
    world.receivers.answers[A] = lambda _: asyncio.sleep(3600, OutboundResponse(200, {}, b""))
    await world.worker.step()
    await settled(lambda: len(world.receivers.received) == 1)
    await world.worker.stop()
    del world.receivers.answers[A]
    await world.send(world.make_worker("two"))
    assert [request.id for request in world.receivers.received] == [message, message]


async def test_what_was_missed_is_found_again_by_recover_and_a_delivery_by_hand(world: HooksWorld) -> None:
    endpoint, _ = await world.add("a", ["key.created"])
    await world.emit()
    await world.change(status=EndpointStatus.DISABLED)
    since = world.clock.now()
    world.clock.advance(60)
    await world.add("b")
    missed = await world.emit(3)  # only b gets these
    await world.send()
    assert len(world.receivers.at(A)) == 0
    endpoint = await world.enable()
    async with world.database.write() as conn:
        count = await deliveries_service.recover(conn, endpoint, since, by="key_admin", now=world.clock.now())
    assert count == 4
    await world.send()
    assert {request.id for request in world.receivers.at(A)} > set(missed)
    assert len(world.receivers.at(A)) == 4
    row: Any = next(row for row in await world.deliveries() if row.endpoint_id == endpoint.id)
    async with world.database.write() as conn:
        again = await deliveries_service.redeliver(conn, row.id, endpoint, by="key_admin", now=world.clock.now())
        assert again.status == "pending" and again.tries == 0
    await world.send()
    assert world.receivers.at(A)[-1].id == row.message_id
    assert len(world.receivers.at(A)) == 5


async def test_410_disables_the_endpoint_at_once_and_the_other_endpoints_learn_it(world: HooksWorld) -> None:
    await world.add("a")
    await world.add("b", ["webhook.disabled"])
    world.receivers.answers[A] = answer(410)
    await world.emit(10)
    await world.send()
    await world.send()
    row = await world.endpoint("a")
    assert (row.status, row.disabled_reason) == ("disabled", "gone")
    assert len(world.receivers.at(A)) <= 4
    (message,) = [request.document for request in world.receivers.at(B) if "disabled" in request.document["type"]]
    assert message["data"] == {
        "endpointId": "whk_a", "host": "a.example", "reason": "gone", "disabledAt": message["timestamp"],
    }  # fmt: skip
    async with world.database.read() as conn:
        assert ("hooks.endpoint_disabled", "whk_a") in await alarms_service.active_keys(conn)
    await world.enable()
    async with world.database.read() as conn:
        assert ("hooks.endpoint_disabled", "whk_a") not in await alarms_service.active_keys(conn)


async def test_an_endpoint_without_a_success_for_five_days_is_disabled(world: HooksWorld) -> None:
    await world.add("a")
    world.receivers.answers[A] = fail("timeout")
    for _ in range(5):
        await world.emit()
        await world.send()
        assert (await world.endpoint("a")).status == "enabled"
        world.clock.advance(86_400)
    await world.send()
    row = await world.endpoint("a")
    assert (row.status, row.disabled_reason) == ("disabled", "failing")
    sent = len(world.receivers.received)
    world.clock.advance(86_400)
    await world.send()
    assert len(world.receivers.received) == sent


async def test_one_success_restarts_the_five_days(world: HooksWorld) -> None:
    await world.add("a")
    for day in range(8):
        world.receivers.answers[A] = answer(200) if day == 3 else fail()
        await world.emit()
        await world.send()
        world.clock.advance(86_400)
    assert (await world.endpoint("a")).status == "enabled"


def test_no_message_is_given_up_within_three_days() -> None:
    assert sum(DELAYS) > timedelta(days=3).total_seconds()
    assert all(next_delay(n + 1, None, random.Random(n)) >= delay for n, delay in enumerate(DELAYS))  # type: ignore[operator] # not exhausted
    assert next_delay(len(DELAYS) + 1, None, random.Random(1)) is None


async def test_a_process_that_dies_while_it_sends_is_replaced_once_its_lease_ends(world: HooksWorld) -> None:
    await world.add("a")
    (message,) = await world.emit()
    release = asyncio.Event()

    async def hang(_: Received) -> OutboundResponse:
        await release.wait()
        return OutboundResponse(500, {}, b"")

    world.receivers.answers[A] = hang
    await world.worker.step()
    await settled(lambda: len(world.receivers.received) == 1)
    del world.receivers.answers[A]
    other = world.make_worker("two")
    await world.send(other)
    assert len(world.receivers.received) == 1, "the lease still holds"
    async with world.database.write() as conn:
        await conn.execute(sa.update(endpoints).values(lease_until=db_now(-1)))
    await world.send(other)
    assert [request.id for request in world.receivers.received] == [message, message]
    release.set()
    await world.worker.idle()
    (row,) = await world.deliveries()
    assert row.status == "delivered" and len(row.attempts) == 1, "the result of the first process comes too late"
