"""The ledger over HTTP and on the command line: where every coin is, and how persons explain a difference."""

import json

import pytest

from kit.ids import RandomIds
from tests.support.operators import make_key, operator_client
from tests.support.service import HOT_WALLET, Service
from tests.support.service_payouts import NOW, owe_payout
from tests.support.treasury_commands import run_treasury_async
from tests.support.treasury_rows import treasury_actions
from treasury.core.hot_wallets import HotWallet
from treasury.incidents import unmatched
from treasury.ledger import service as ledger_service
from treasury.ledger import usdc as usdc_books
from treasury.ledger.states import Account
from treasury.reconciliation import reconcile

MUSD = 10**18
USDC = 10**6


async def book(service: Service, *, musd: int = 5 * MUSD, block: int = 1) -> None:
    """Post a balance as the leader does."""
    async with service.database.write() as conn:
        await reconcile(conn, HOT_WALLET, "MUSD", musd, block, now=NOW)


async def postings(service: Service) -> list[str]:
    async with service.database.read() as conn:
        return [row.kind for row in await ledger_service.page(conn, [HOT_WALLET])]


async def test_the_ledger_shows_accounts_first_and_movements_page_by_page(service: Service) -> None:
    await book(service)
    payout_id = await owe_payout(service)
    async with service.database.write() as conn:
        await usdc_books.post_receivable(conn, "ons_9", 2_500_000, wallet=HOT_WALLET, now=NOW)
    vera = await operator_client(service, "viewer", "vera")
    status, page = await vera.get("/ledger?limit=2")
    assert status == 200
    found = {one["asset"]: one for one in page["accounts"]}
    assert list(found) == ["MUSD", "BTC", "USDC"]
    musd, usdc = found["MUSD"], found["USDC"]
    assert (musd["available"], musd["held"], musd["externalIn"], musd["inFlight"]) == ("4.00", "1.00", "-5.00", "0.00")
    assert (usdc["receivable"], usdc["sold"], usdc["settled"]) == ("2.50", "-2.50", "0.00")
    newest, held = page["data"]
    assert (newest["subject"], newest["amount"], newest["from"], newest["to"]) == ("ons_9", "2.50", "sold", "receivable")  # fmt: skip
    assert (held["subject"], held["kind"], held["to"]) == (payout_id, "hold", "held")
    status, rest = await vera.get(f"/ledger?limit=2&cursor={page['nextCursor']}")
    assert [(row["kind"], row["blockNumber"]) for row in rest["data"]] == [("opening", 1)]
    assert rest["nextCursor"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "cursor=0", "cursor=x", "cursor=99999999999999999999"])
async def test_an_impossible_page_is_422(service: Service, query: str) -> None:
    assert (await (await operator_client(service, "viewer", "vera")).get(f"/ledger?{query}"))[0] == 422


async def test_the_terminal_says_what_is_gone_and_what_to_type(service: Service) -> None:
    await book(service)
    vera = await make_key(service.database, "viewer", "vera")
    calm = await run_treasury_async(service.api, vera, "ledger")
    assert (calm.returncode, "reconcile" in calm.stdout) == (0, False), calm.stderr
    await book(service, musd=2 * MUSD, block=2)
    answer = await run_treasury_async(service.api, vera, "ledger", "--limit", "1")
    assert "3.00 MUSD is missing and no row explains it: onramp treasury reconcile" in answer.stdout
    assert "More: --cursor" in answer.stdout
    shown = json.loads((await run_treasury_async(service.api, vera, "ledger", "--json")).stdout)
    assert shown["accounts"][0]["suspense"] == "3.00"


async def test_without_the_chain_nothing_is_compared(service: Service) -> None:
    otto, vera = await operator_client(service, "operator", "otto"), await operator_client(service, "viewer", "vera")
    assert (await vera.post("/reconcile"))[0] == 403
    status, problem = await otto.post("/reconcile")
    assert (status, problem["code"]) == (503, "chain_unavailable")
    assert await postings(service) == []


HASH = "0x" + "Ab" * 32


async def test_usdc_that_arrived_is_cleared_once_by_session_or_the_oldest_first(service: Service) -> None:
    async with service.database.write() as conn:
        for number in (1, 2, 3):
            await usdc_books.post_receivable(conn, f"ons_{number}", number * USDC, wallet=HOT_WALLET, now=NOW)
    otto, ada = await operator_client(service, "operator", "otto"), await operator_client(service, "approver", "ada")
    order = {"txHash": HASH, "sessionId": "ons_2", "note": "seen on etherscan"}
    assert (await otto.post("/settle-usdc", order))[1]["status"] == "awaiting_approval"
    status, found = await ada.post("/settle-usdc", order)
    assert (status, found["receivable"]) == (200, "4.00")
    assert [(row["subject"], row["amount"], row["note"]) for row in found["data"]] == [("ons_2", "2.00", HASH.lower())]
    assert (await otto.post("/settle-usdc", order))[1] == found
    assert await treasury_actions(service) == ["treasury.settle_usdc", "treasury.settle_usdc"]
    status, problem = await otto.post("/settle-usdc", {"txHash": HASH, "sessionId": "ons_1"})
    assert (status, problem["code"]) == (409, "not_possible")
    for person in (otto, ada):
        status, found = await person.post("/settle-usdc", {"txHash": "0x" + "cd" * 32, "amount": "1.5"})
    assert [(row["subject"], row["amount"]) for row in found["data"]] == [("ons_1", "1.00"), ("ons_3", "0.50")]
    status, problem = await otto.post("/settle-usdc", {"txHash": "0x" + "ef" * 32, "amount": "2.500001"})
    assert (status, problem["code"]) == (409, "insufficient_available")
    for role in ("operator", "approver"):
        secret = await make_key(service.database, role, role)
        typed = await run_treasury_async(
            service.api, secret, "settle-usdc", "--tx-hash", "0x" + "12" * 32, "--amount", "2.5"
        )
    assert (typed.returncode, "Still receivable: 0.00 USDC" in typed.stdout) == (0, True), typed.stderr
    assert (await run_treasury_async(service.api, secret, "settle-usdc", "--tx-hash", HASH)).returncode == 2


@pytest.mark.parametrize(
    "change",
    [
        {"txHash": "0x12"},
        {"amount": "1", "sessionId": "ons_1"},
        {"sessionId": None},
        {"sessionId": "pay_1"},
        {"sessionId": None, "amount": "0"},
        {"sessionId": None, "amount": "1.0000001"},
        {"sessionId": None, "amount": "-1"},
    ],
)
async def test_an_impossible_settlement_is_422(service: Service, change: dict[str, str | None]) -> None:
    body = {"txHash": HASH, "sessionId": "ons_1"} | change
    body = {name: value for name, value in body.items() if value is not None}
    otto = await operator_client(service, "operator", "otto")
    assert (await otto.post("/settle-usdc", body))[0] == 422
    assert (await (await operator_client(service, "viewer", "vera")).post("/settle-usdc", body))[0] == 403


async def test_coins_that_are_gone_are_written_off_when_two_persons_say_where_they_went(service: Service) -> None:
    ada, eve = await operator_client(service, "approver", "ada"), await operator_client(service, "approver", "eve")
    ada_too, otto = (
        await operator_client(service, "approver", "ada"),
        await operator_client(service, "operator", "otto"),
    )
    order = {"subject": "MUSD", "note": "Ada moved it by hand"}
    assert (await otto.post("/answer", order))[0] == 403
    status, problem = await ada.post("/answer", order)
    assert (status, problem["code"]) == (409, "not_possible")
    await book(service)
    await book(service, musd=4 * MUSD, block=2)
    status, answer = await ada.post("/answer", order)
    assert (status, answer["status"], answer["amount"], answer["answeredBy"]) == (200, "asked", "1.00", None)
    assert (await ada_too.post("/answer", order))[1]["code"] == "self_approval"
    # More is missing than Ada explained: her explanation does not cover it.
    await book(service, musd=2 * MUSD, block=3)
    status, answer = await eve.post("/answer", order)
    assert (answer["status"], answer["amount"]) == ("asked", "3.00")
    assert (await postings(service))[0] == "difference"
    status, answer = await ada.post("/answer", {**order, "note": "all three"})
    assert (status, answer["status"]) == (200, "answered")
    async with service.database.read() as conn:
        assert (await ledger_service.balances(conn, HOT_WALLET, "MUSD"))[Account.SUSPENSE] == 0
        newest = (await ledger_service.page(conn, [HOT_WALLET], limit=1))[0]
    assert (newest.kind, newest.actor, newest.note) == (
        "answer",
        answer["answeredBy"],
        "Ada moved it by hand; all three",
    )
    assert (await eve.post("/answer", order))[1]["code"] == "not_possible"
    refused = "treasury.answer_refused"
    assert await treasury_actions(service) == [
        refused,
        "treasury.answer",
        refused,
        "treasury.answer",
        "treasury.answer",
        refused,
    ]


async def test_an_asset_with_a_dot_in_its_symbol_is_answered_like_any_other(service: Service) -> None:
    async with service.database.write() as conn:
        for block, amount in ((1, 3 * USDC), (2, 0)):
            await reconcile(conn, HOT_WALLET, "USDC.e", amount, block, now=NOW)
    for person, status in (("ada", "asked"), ("eve", "answered")):
        approver = await operator_client(service, "approver", person)
        assert (await approver.post("/answer", {"subject": "USDC.e", "note": "a drill"}))[1]["status"] == status


async def test_an_unmatched_transaction_is_explained_by_two_persons(service: Service) -> None:
    async with service.database.write() as conn:
        await unmatched.record(conn, HotWallet(31611, HOT_WALLET), 3, now=NOW, ids=RandomIds(), note="another hand")
        (row,) = await unmatched.list_open(conn, HotWallet(31611, HOT_WALLET))
    ada, eve = await make_key(service.database, "approver", "ada"), await make_key(service.database, "approver", "eve")
    first = await run_treasury_async(service.api, ada, "answer", row.id, "--note", "our old sender")
    assert (first.returncode, "Another approver confirms it" in first.stdout) == (0, True), first.stderr
    second = await run_treasury_async(service.api, eve, "answer", row.id, "--note", "our old sender")
    assert (second.returncode, "onramp treasury reconcile" in second.stdout) == (0, True), second.stderr
    async with service.database.read() as conn:
        assert await unmatched.list_open(conn, HotWallet(31611, HOT_WALLET)) == []
    assert (await run_treasury_async(service.api, ada, "answer", row.id, "--note", "x")).stderr.startswith(
        "onramp: not_possible: "
    )
    assert (await run_treasury_async(service.api, ada, "answer", "fgn_x", "--note", "x")).stderr.startswith(
        "onramp: not_found: "
    )
    assert (await run_treasury_async(service.api, ada, "answer", row.id)).returncode == 2
