"""Without a node of its chain, USDC counts as arrived when two persons confirm it, and two persons reverse it."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from kit.clock import SystemClock
from kit.worker import WorkerContext, WorkerMetrics
from onramp.auth.api_keys.table import api_keys
from onramp.auth.roles import Role
from onramp.ops.janitor import Janitor, StateMetrics
from onramp.screening.sanctions_list import Screening, ScreeningMetrics
from tests.support.operators import make_key, operator_client
from tests.support.service import HOT_WALLET, Service, Start
from tests.support.service_payouts import NOW
from tests.support.treasury_commands import run_treasury_async
from tests.support.treasury_rows import treasury_actions
from treasury.ledger import service as ledger_service
from treasury.ledger import usdc as books
from treasury.ledger.states import Account

USDC = 10**6
HASH = "0x" + "Ab" * 32
ORDER = {"txHash": HASH, "sessionId": "ons_1", "note": "seen on a block explorer"}


@pytest.fixture
async def service(start: Start, database_url: str) -> Service:
    made = await start(url=database_url)
    async with made.database.write() as conn:
        for number in (1, 2, 3):
            await books.post_receivable(conn, f"ons_{number}", number * USDC, wallet=HOT_WALLET, now=NOW)
    return made


async def accounts(service: Service) -> tuple[int, int]:
    """Return the USDC that is receivable and that is settled."""
    async with service.database.read() as conn:
        found = await ledger_service.balances(conn, HOT_WALLET, "USDC")
    return found.get(Account.RECEIVABLE, 0) // USDC, found.get(Account.SETTLED, 0) // USDC


async def test_one_key_settles_nothing(service: Service) -> None:
    for person, role in (("otto", "operator"), ("ada", "approver")):
        one = await operator_client(service, role, person)  # type: ignore[arg-type]
        tx_hash = "0x" + person.encode().hex().rjust(64, "1")
        status, made = await one.post("/settle-usdc", {**ORDER, "txHash": tx_hash})
        assert (status, made["status"], made["data"], made["receivable"]) == (200, "awaiting_approval", [], "6.00")
        status, problem = await one.post("/settle-usdc", {**ORDER, "txHash": tx_hash})
        assert (status, problem["code"]) == (409, "self_approval")
        other_key = await operator_client(service, "approver", person)
        assert (await other_key.post("/settle-usdc", {**ORDER, "txHash": tx_hash}))[1]["code"] == "self_approval"
    assert await accounts(service) == (6, 0)


async def test_a_look_alike_name_is_not_a_second_person(service: Service) -> None:
    """Names stored before look-alikes were refused are still compared."""
    ada, alike = (
        await operator_client(service, "approver", "ada"),
        await operator_client(service, "approver", "somebody else"),
    )
    await _named(service, "somebody else", "\N{CYRILLIC SMALL LETTER A}d\N{CYRILLIC SMALL LETTER A}")
    bea = await operator_client(service, "approver", "bea")
    made = (await ada.post("/settle-usdc", ORDER))[1]
    assert (await alike.post("/settle-usdc", ORDER))[1]["code"] == "self_approval"
    assert await accounts(service) == (6, 0)
    assert (await bea.post("/settle-usdc", ORDER))[1]["status"] == "settled"
    assert (await ada.post(f"/settle-usdc/{made['id']}/reverse"))[1]["status"] == "reversal_awaiting_approval"
    assert (await alike.post(f"/settle-usdc/{made['id']}/reverse"))[1]["code"] == "self_approval"
    assert await accounts(service) == (5, 1)


async def _named(service: Service, before: str, after: str) -> None:
    async with service.database.write() as conn:
        await conn.execute(sa.update(api_keys).where(api_keys.c.person == before).values(person=after))


async def test_a_second_person_who_approves_settles_it(service: Service) -> None:
    otto, olga = await operator_client(service, "operator", "otto"), await operator_client(service, "operator", "olga")
    ada, vera = await operator_client(service, "approver", "ada"), await operator_client(service, "viewer", "vera")
    proposed = (await otto.post("/settle-usdc", ORDER))[1]
    status, page = await vera.get("/settle-usdc?status=awaiting_approval")
    assert (status, [row["id"] for row in page["data"]]) == (200, [proposed["id"]])
    assert (await olga.post("/settle-usdc", ORDER))[0] == 403
    status, made = await ada.post("/settle-usdc", {**ORDER, "txHash": HASH.lower()})
    assert (status, made["status"], made["verified"], made["id"]) == (200, "settled", False, proposed["id"])
    assert (made["amount"], made["receivable"]) == ("1.00", "5.00")
    assert made["proposedBy"] != made["approvedBy"]
    assert [(row["subject"], row["amount"], row["by"]) for row in made["data"]] == [
        ("ons_1", "1.00", made["approvedBy"])
    ]
    assert (await otto.post("/settle-usdc", ORDER))[1] == made
    assert await treasury_actions(service) == ["treasury.settle_usdc", "treasury.settle_usdc"]
    assert (await vera.get("/settle-usdc?status=nonsense"))[0] == 422


async def test_another_amount_is_another_claim_and_confirms_nothing(service: Service) -> None:
    otto, ada = await operator_client(service, "operator", "otto"), await operator_client(service, "approver", "ada")
    assert (await otto.post("/settle-usdc", {"txHash": HASH, "amount": "2"}))[1]["status"] == "awaiting_approval"
    for order in ({"txHash": HASH, "amount": "2.5"}, {"txHash": HASH, "sessionId": "ons_2"}):
        status, problem = await ada.post("/settle-usdc", order)
        assert (status, problem["code"]) == (409, "not_possible")
    assert (await ada.post("/settle-usdc", {"txHash": HASH, "amount": "2.00"}))[1]["receivable"] == "4.00"
    for amount in ("4.000001", "99"):
        status, problem = await otto.post("/settle-usdc", {"txHash": "0x" + "cd" * 32, "amount": amount})
        assert (status, problem["code"]) == (409, "insufficient_available")


async def test_two_proposals_of_the_same_purchase_settle_it_once(service: Service) -> None:
    otto, ada = await operator_client(service, "operator", "otto"), await operator_client(service, "approver", "ada")
    orders = [{"txHash": "0x" + f"{number}" * 64, "sessionId": "ons_1"} for number in (1, 2)]
    for order in orders:
        assert (await otto.post("/settle-usdc", order))[1]["status"] == "awaiting_approval"
    assert (await ada.post("/settle-usdc", orders[0]))[0] == 200
    status, problem = await ada.post("/settle-usdc", orders[1])
    assert (status, problem["code"]) == (409, "insufficient_available")
    assert await accounts(service) == (5, 1)


async def test_many_who_confirm_at_once_settle_once(service: Service) -> None:
    otto = await operator_client(service, "operator", "otto")
    await otto.post("/settle-usdc", ORDER)
    people = [await operator_client(service, "approver", f"person {number}") for number in range(6)]
    answers = await asyncio.gather(*(one.post("/settle-usdc", ORDER) for one in people))
    assert all(status == 200 or problem["code"] == "not_possible" for status, problem in answers), answers
    assert await accounts(service) == (5, 1)
    made = (await otto.post("/settle-usdc", ORDER))[1]
    found = await asyncio.gather(*(one.post(f"/settle-usdc/{made['id']}/reverse") for one in people))
    assert [status for status, _ in found].count(200) >= 2
    assert await accounts(service) == (6, 0)


async def test_concurrent_proposals_make_one_settlement(service: Service) -> None:
    people = [await operator_client(service, "operator", f"person {number}") for number in range(6)]
    answers = await asyncio.gather(*(one.post("/settle-usdc", ORDER) for one in people))
    assert sorted(status for status, _ in answers) == [200, 403, 403, 403, 403, 403]
    assert await accounts(service) == (6, 0)


async def test_two_persons_reverse_a_settlement_and_it_can_be_settled_again(service: Service) -> None:
    otto, ada, eve = [await operator_client(service, *one) for one in PEOPLE]
    for person in (otto, ada):
        made = (await person.post("/settle-usdc", {"txHash": HASH, "amount": "2.5"}))[1]
    assert await accounts(service) == (3, 2)
    path = f"/settle-usdc/{made['id']}/reverse"
    status, asked = await otto.post(path, {"note": "diverted"})
    assert (status, asked["status"]) == (200, "reversal_awaiting_approval")
    assert (await otto.post(path))[1]["code"] == "self_approval"
    assert await accounts(service) == (3, 2)
    status, rejected = await eve.post(f"/settle-usdc/{made['id']}/reject")
    assert (status, rejected["status"]) == (200, "settled")
    assert (await otto.post(path))[1]["status"] == "reversal_awaiting_approval"
    status, done = await eve.post(path, {"note": "I looked, too"})
    assert (status, done["status"], done["reversedBy"] is not None) == (200, "reversed", True)
    assert await accounts(service) == (6, 0)
    async with service.database.read() as conn:
        rows = await ledger_service.page(conn, [HOT_WALLET], limit=10)
        waiting = await books.receivable(conn, [HOT_WALLET])
    assert [(row.subject, row.kind, row.amount) for row in rows][:4] == [
        ("ons_2", "reverse_usdc", 1_500_000), ("ons_1", "reverse_usdc", 1_000_000),
        ("ons_2", "settle_usdc", 1_500_000), ("ons_1", "settle_usdc", 1_000_000),
    ]  # fmt: skip
    assert [(one.session_id, one.amount // USDC) for one in waiting] == [("ons_1", 1), ("ons_2", 2), ("ons_3", 3)]
    status, problem = await eve.post(path)
    assert (status, problem["code"]) == (409, "not_possible")
    # The same transaction may be claimed again, and taken back again.
    for _ in range(2):
        for person in (otto, ada):
            status, made = await person.post("/settle-usdc", {"txHash": HASH, "sessionId": "ons_3"})
            assert status == 200
        assert (await accounts(service), [row["amount"] for row in made["data"]]) == ((3, 3), ["3.00"])
        for person in (otto, ada):
            assert (await person.post(f"/settle-usdc/{HASH}/reverse"))[0] == 200
        assert await accounts(service) == (6, 0)
    actions = await treasury_actions(service)
    assert actions.count("treasury.reverse_usdc") == 7
    assert actions.count("treasury.reject_usdc") == 1


PEOPLE: tuple[tuple[Role, str], ...] = (("operator", "otto"), ("approver", "ada"), ("approver", "eve"))


async def test_settlements_from_before_the_table_remain_and_can_be_reversed(service: Service) -> None:
    async with service.database.write() as conn:
        await books.settle(conn, wallets=[HOT_WALLET], tx_hash=HASH.lower(), by="key_old", now=NOW, amount=3 * USDC)
    otto, ada, eve = [await operator_client(service, *one) for one in PEOPLE]
    status, made = await otto.post("/settle-usdc", {"txHash": HASH, "amount": "3"})
    assert (status, made["id"], made["status"], made["proposedBy"]) == (200, None, "settled", "key_old")
    assert (await otto.post("/settle-usdc", {"txHash": HASH, "sessionId": "ons_3"}))[1]["code"] == "not_possible"
    status, asked = await ada.post(f"/settle-usdc/{HASH}/reverse")
    assert (status, asked["status"], asked["amount"]) == (200, "reversal_awaiting_approval", "3.00")
    assert (await eve.post(f"/settle-usdc/{asked['id']}/reverse"))[1]["status"] == "reversed"
    assert await accounts(service) == (6, 0)


async def test_a_proposal_is_rejected_by_an_approver_or_by_who_made_it(service: Service) -> None:
    otto, olga = await operator_client(service, "operator", "otto"), await operator_client(service, "operator", "olga")
    ada = await operator_client(service, "approver", "ada")
    for person in (otto, ada):
        made = (await otto.post("/settle-usdc", ORDER))[1]
        path = f"/settle-usdc/{made['id']}/reject"
        assert (await olga.post(path))[0] == 403
        assert (await person.post(path, {"note": "no such transfer"}))[1]["status"] == "rejected"
        assert (await ada.post(path))[1]["code"] == "not_possible"
        assert (await ada.post(f"/settle-usdc/{made['id']}/reverse"))[1]["code"] == "not_possible"
    for path in ("stl_x", "0x" + "9" * 64, "x" * 80):
        assert (await ada.post(f"/settle-usdc/{path}/reverse"))[0] == 404


async def test_an_unproven_settlement_raises_an_alarm_and_is_counted(service: Service) -> None:
    otto, ada = await operator_client(service, "operator", "otto"), await operator_client(service, "approver", "ada")
    rung = []
    for person in (otto, ada, otto):
        with capture_logs() as logged:
            await person.post("/settle-usdc", ORDER)
        rung += [(line["event"], line["status"]) for line in logged if line["log_level"] == "critical"]
    name = "treasury.usdc_settled_unverified"
    assert rung == [(name, "awaiting_approval"), (name, "settled")]
    registry = CollectorRegistry()
    nobody = Screening("", SystemClock(), ScreeningMetrics(registry))
    context = WorkerContext(service.database, SystemClock(), WorkerMetrics(registry, "onramp"), "janitor")
    await Janitor(context, StateMetrics(registry), nobody, timedelta(days=90)).step()
    assert registry.get_sample_value("treasury_usdc_settled_unverified") == 1
    assert registry.get_sample_value("treasury_usdc_settlements", {"status": "settled"}) == 1
    assert registry.get_sample_value("treasury_usdc_contradicted") == 0


@pytest.mark.parametrize("tx_hash", ["0x" + "0" * 64, "0x" + "1" * 63, "0x" + "1" * 65, "1" * 64, "0x" + "g" * 64, 7])
async def test_an_invalid_hash_is_refused(service: Service, tx_hash: str) -> None:
    otto = await operator_client(service, "operator", "otto")
    assert (await otto.post("/settle-usdc", {**ORDER, "txHash": tx_hash}))[0] == 422


async def test_the_list_comes_page_by_page(service: Service) -> None:
    otto, vera = await operator_client(service, "operator", "otto"), await operator_client(service, "viewer", "vera")
    for number in range(3):
        await otto.post("/settle-usdc", {"txHash": "0x" + f"{number + 1}" * 64, "amount": "1"})
    seen, cursor = [], ""
    while cursor is not None:
        page = (await vera.get(f"/settle-usdc?limit=2{cursor and f'&cursor={cursor}'}"))[1]
        seen += [row["txHash"][2] for row in page["data"]]
        cursor = page["nextCursor"]
    assert seen == ["3", "2", "1"]


async def test_at_the_terminal_two_persons_settle_and_take_back(service: Service) -> None:
    otto, ada = (
        await make_key(service.database, "operator", "otto"),
        await make_key(service.database, "approver", "ada"),
    )
    typed = ("settle-usdc", "--tx-hash", HASH, "--session-id", "ons_1")
    first = await run_treasury_async(service.api, otto, *typed)
    assert (first.returncode, "an approver confirms it: onramp treasury settle-usdc" in first.stdout) == (0, True), (
        first
    )
    listed = await run_treasury_async(service.api, ada, "settlements")
    assert ("awaiting_approval" in listed.stdout, HASH.lower() in listed.stdout) == (True, True), listed
    second = await run_treasury_async(service.api, ada, *typed)
    assert (second.returncode, "Still receivable: 5.00 USDC" in second.stdout) == (0, True), second
    asked = await run_treasury_async(service.api, otto, "reverse-usdc", HASH, "--note", "diverted")
    assert "An approver confirms it: onramp treasury reverse-usdc stl_" in asked.stdout, asked
    assert (await run_treasury_async(service.api, otto, "reverse-usdc", HASH)).stderr.startswith(
        "onramp: self_approval: "
    )
    rejected = await run_treasury_async(
        service.api, ada, "reject-usdc", asked.stdout.split("reverse-usdc ")[1].split()[0]
    )
    assert (rejected.returncode, "settled" in rejected.stdout) == (0, True), rejected
