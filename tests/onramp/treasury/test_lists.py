"""Payouts, sweeps and the audit log are filtered, each filter by its name; and the audit log is verified over HTTP."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from kit.audit import hash_chain
from kit.audit import service as audit_service
from kit.clock import SystemClock
from kit.db.database import Database
from kit.ids import RandomIds
from onramp.treasury.audit_verification import AuditVerifier
from tests.support.api_keys import RING
from tests.support.clocks import ManualClock
from tests.support.operators import operator_client
from tests.support.purchases import BUYER, OTHER, TOKEN
from tests.support.service import HOT_WALLET, Service
from tests.support.service_payouts import NOW
from treasury.core.aggregates import Filter
from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.payouts import service as payouts_service


async def owe_three(database: Database) -> list[str]:
    """Create three payouts an hour apart: to BUYER, to OTHER and held for its amount, to BUYER; return their ids."""
    ids = []
    async with database.write() as conn:
        for number, to in enumerate((BUYER, OTHER, BUYER)):
            at = NOW + timedelta(hours=number)
            payout_id = await payouts_service.create_payout(
                conn, session_id=f"ons_{number}", stripe_session_id=f"cos_{number}", to=to, amount=10**18, token=TOKEN,
                wallet=HOT_WALLET, now=at, ids=RandomIds(),
            )  # fmt: skip
            ids.append(payout_id)
        await payouts_service.move(conn, ids[1], OperationFact.HELD, now=NOW, reason=Reason.SCREENING)
    return ids


async def test_payouts_are_filtered_by_status_reason_recipient_and_time(database: Database) -> None:
    first, second, third = await owe_three(database)

    async def listed(chosen: Filter) -> list[str]:
        async with database.read() as conn:
            return [row.id for row in await payouts_service.page(conn, chosen=chosen)]

    assert await listed(Filter()) == [third, second, first]
    assert await listed(Filter(status=Status.HELD)) == [second]
    assert await listed(Filter(reason="screening")) == [second]
    assert await listed(Filter(to=BUYER)) == [third, first]
    assert await listed(Filter(since=NOW + timedelta(hours=1))) == [third, second]
    assert await listed(Filter(since=NOW, until=NOW + timedelta(hours=1))) == [first]
    assert await listed(Filter(status=Status.HELD, to=BUYER)) == []


async def test_the_filters_are_parameters_of_both_lists(service: Service) -> None:
    first, second, third = await owe_three(service.database)
    vera = await operator_client(service, "viewer", "vera")
    query = f"wallet={BUYER.lower()}&from=2026-11-21T04:30:00Z&to=2026-11-21T06:00:00Z"
    assert [row["id"] for row in (await vera.get(f"/payouts?{query}"))[1]["data"]] == [third]
    assert [row["id"] for row in (await vera.get("/payouts?reason=screening&status=held"))[1]["data"]] == [second]
    assert (await vera.get(f"/sweeps?{query}&reason=policy"))[1] == {"data": [], "nextCursor": None}
    page = (await vera.get(f"/payouts?wallet={BUYER}&limit=1"))[1]
    rest = (await vera.get(f"/payouts?wallet={BUYER}&limit=1&cursor={page['nextCursor']}"))[1]
    assert [row["id"] for row in page["data"] + rest["data"]] == [third, first]


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/payouts?wallet=0x12", "/wallet"),
        ("/payouts?reason=A%27%20OR%201", "/reason"),
        ("/sweeps?from=now", "/from"),
        ("/audit?to=2026-11-21", "/to"),
        ("/audit?actor=" + "x" * 65, "/actor"),
        ("/audit?person=ada", "/person"),
        ("/balances/history?from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z", "/from"),
        ("/balances/history?from=0001-01-01T00:00:00Z", "/from"),
        ("/balances/history?asset=" + "x" * 17, "/asset"),
    ],
)
async def test_an_impossible_filter_is_refused_by_name(service: Service, path: str, pointer: str) -> None:
    status, problem = await (await operator_client(service, "viewer", "vera")).get(path)
    assert (status, [error["pointer"] for error in problem["errors"]]) == (422, [pointer])


async def test_the_audit_log_is_filtered_by_actor_action_and_time(service: Service) -> None:
    async with service.database.write() as conn:
        for hour, (actor, action) in enumerate((("key_1", "a.b"), ("key_2", "a.b"), ("key_1", "c.d"))):
            await audit_service.record(conn, actor, action, f"pay_{hour}", None, {}, at=NOW + timedelta(hours=hour))
    vera = await operator_client(service, "viewer", "vera")

    async def subjects(query: str) -> list[str]:
        return [row["subject"] for row in (await vera.get(f"/audit?{query}"))[1]["data"]]

    assert await subjects("actor=key_1") == ["pay_2", "pay_0"]
    assert await subjects("action=a.b") == ["pay_1", "pay_0"]
    assert await subjects("actor=key_1&action=c.d&subject=pay_2") == ["pay_2"]
    assert await subjects("from=2026-11-21T04:00:00Z&to=2026-11-21T05:00:00Z") == ["pay_1"]


async def test_the_verification_names_head_and_first_broken_row_and_walks_once_a_minute(database: Database) -> None:
    async with database.write() as conn:
        for number in range(3):
            await audit_service.record(conn, "key_1", "a.b", f"pay_{number}", None, {}, at=NOW)
        new = await hash_chain.unlinked(conn, since=0, limit=10)
        key = RING.all(hash_chain.PURPOSE)[0]
        last = await hash_chain.extend(conn, key, hash_chain.NO_HEAD, new, SystemClock().now())
    clock = ManualClock()
    verifier = AuditVerifier(database, RING, clock)
    assert (await verifier.verify()).verdict.head == last
    async with database.engine.connect() as conn:
        for statement in unguarded(database):
            await conn.execute(sa.text(statement))
        await conn.execute(sa.text("UPDATE audit_entries SET subject = 'pay_x' WHERE subject = 'pay_1'"))
        await conn.commit()
    assert (await verifier.verify()).verdict.broken is None, "the result of the last minute"
    clock.advance(60)
    broken = (await verifier.verify()).verdict.broken
    assert broken is not None
    assert (broken.number, broken.reason) == (2, "the entry was changed after it was linked")


def unguarded(database: Database) -> list[str]:
    """Return the statements with which somebody who owns the database gets around its triggers."""
    if database.dialect == "postgresql":
        return ["ALTER TABLE audit_entries DISABLE TRIGGER ALL"]
    return ["DROP TRIGGER audit_entries_no_update"]


async def test_the_verification_is_answered_over_http(service: Service) -> None:
    vera = await operator_client(service, "viewer", "vera")
    status, answer = await vera.get("/audit/verification")
    assert (status, answer["ok"], answer["firstBroken"]) == (200, True, None)
    assert answer["rows"] == answer["head"]["number"] == 0
    assert answer["unlinked"] > 0, "no worker runs that links rows"
