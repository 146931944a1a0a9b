"""USDC counts at once if its own chain shows it, and never if that chain contradicts it; a second real node is that chain."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.reads.arrivals import Contradicted, Unseen, read_arrival
from kit.clock import SystemClock
from onramp.bootstrap.factories import session_config
from onramp.bootstrap.settlement import recipients_of
from onramp.config.loader import load
from onramp.dev.chain.devchain import DevChain
from tests.support.ethereum import CHAIN_ID, Ethereum
from tests.support.operators import OperatorClient, make_key, operator_client
from tests.support.service import HOT_WALLET, SETTLEMENT, Service, Start
from tests.support.treasury_commands import run_treasury_async
from treasury.ledger import usdc as books
from treasury.settlements import queries
from treasury.settlements.verification import SettlementMonitor, UsdcChain

USDC = 10**6
DEEP = 4
STRANGER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"


def settings_of(chain: Ethereum, urls: str = "") -> dict[str, Any]:
    return {
        "SETTLEMENT_RPC_URLS": SecretStr(urls or f"a={chain.anvil.url},b={chain.anvil.url}/?b"),
        "SETTLEMENT_USDC_ADDRESS": chain.usdc,
        "SETTLEMENT_CONFIRMATIONS": DEEP,
    }


async def owed(service: Service, *amounts: int) -> None:
    async with service.database.write() as conn:
        for number, amount in enumerate(amounts, start=1):
            await books.post_receivable(conn, f"ons_{number}", amount * USDC, wallet=HOT_WALLET, now=datetime.now(UTC))


async def receivable(service: Service) -> int:
    async with service.database.read() as conn:
        return sum(one.amount for one in await books.receivable(conn, [HOT_WALLET])) // USDC


@pytest.fixture
async def shop(start: Start, ethereum: Ethereum, database_url: str) -> tuple[Service, OperatorClient]:
    service = await start(url=database_url, **settings_of(ethereum))
    await owed(service, 5, 3)
    return service, await operator_client(service, "operator", "otto")


async def test_a_transfer_that_its_chain_shows_settles_at_once(
    shop: tuple[Service, OperatorClient], ethereum: Ethereum
) -> None:
    service, otto = shop
    order = {"txHash": await ethereum.pay(SETTLEMENT, 5 * USDC), "sessionId": "ons_1"}
    status, made = await otto.post("/settle-usdc", order)
    assert (status, made["status"], made["verified"], made["amount"]) == (200, "settled", True, "5.00")
    assert (made["receivable"], made["approvedBy"]) == ("3.00", None)
    assert [(row["subject"], row["amount"]) for row in made["data"]] == [("ons_1", "5.00")]
    again = (await otto.post("/settle-usdc", order))[1]
    assert again == made
    status, problem = await otto.post("/settle-usdc", {**order, "sessionId": "ons_2"})
    assert (status, problem["code"], "brought 5.00 USDC and 5.00 of it" in problem["detail"]) == (
        409,
        "not_possible",
        True,
    )
    assert await receivable(service) == 3


async def test_one_transfer_for_two_sessions_clears_both_and_no_more(
    shop: tuple[Service, OperatorClient], ethereum: Ethereum
) -> None:
    service, otto = shop
    tx_hash = await ethereum.pay(SETTLEMENT, 8 * USDC)
    for session_id, left in (("ons_1", "3.00"), ("ons_2", "0.00")):
        status, made = await otto.post("/settle-usdc", {"txHash": tx_hash, "sessionId": session_id})
        assert (status, made["status"], made["receivable"]) == (200, "settled", left), made
    await owed(service, 5, 3, 1)
    status, problem = await otto.post("/settle-usdc", {"txHash": tx_hash, "sessionId": "ons_3"})
    assert (status, problem["code"]) == (409, "not_possible")
    status, problem = await otto.post("/settle-usdc", {"txHash": tx_hash, "amount": "1"})
    assert (status, problem["code"]) == (409, "not_possible")


async def test_claims_at_once_clear_no_more_than_the_transfer_brought(
    shop: tuple[Service, OperatorClient], ethereum: Ethereum
) -> None:
    service, otto = shop
    tx_hash = await ethereum.pay(SETTLEMENT, 5 * USDC)
    orders = [{"txHash": tx_hash, "sessionId": f"ons_{1 + number % 2}"} for number in range(8)]
    answers = await asyncio.gather(*(otto.post("/settle-usdc", order) for order in orders))
    assert {status for status, _ in answers} == {200, 409}
    assert await receivable(service) in {3, 5}
    async with service.database.read() as conn:
        assert len(await queries.of_transaction(conn, tx_hash)) == 1


async def contradictions(ethereum: Ethereum) -> dict[str, str]:
    """Return transactions that transferred no USDC to the settlement address, or too little."""
    twin = await ethereum.new_token()
    fees = await ethereum.fee_token()
    await ethereum.pay(SETTLEMENT, 50 * USDC)
    return {
        "failed": await ethereum.pay(SETTLEMENT, 5 * USDC, sender=STRANGER),
        "moves nothing of the token": await ethereum.pay(SETTLEMENT, 5 * USDC, token=twin),
        "it pays": await ethereum.pay(STRANGER, 5 * USDC),
        "brings nothing to": await ethereum.pay(SETTLEMENT, 5 * USDC, sender=SETTLEMENT),
        "brought 4.999999 USDC": await ethereum.pay(SETTLEMENT, 5 * USDC - 1),
        "of the token": await ethereum.pay(SETTLEMENT, 5 * USDC, token=fees),
    }


async def test_a_transaction_that_did_something_else_settles_nothing(
    shop: tuple[Service, OperatorClient], ethereum: Ethereum
) -> None:
    service, otto = shop
    ada = await operator_client(service, "approver", "ada")
    for expected, tx_hash in (await contradictions(ethereum)).items():
        for person in (otto, ada):
            status, problem = await person.post("/settle-usdc", {"txHash": tx_hash, "sessionId": "ons_1"})
            assert (status, problem["code"], expected in problem["detail"]) == (409, "not_possible", True), (
                expected,
                problem,
            )
    assert await receivable(service) == 8


async def test_a_token_that_keeps_a_fee_clears_what_arrived(start: Start, ethereum: Ethereum) -> None:
    fees = await ethereum.fee_token()
    service = await start(**(settings_of(ethereum) | {"SETTLEMENT_USDC_ADDRESS": fees}))
    await owed(service, 100)
    otto = await operator_client(service, "operator", "otto")
    tx_hash = await ethereum.pay(SETTLEMENT, 100 * USDC, token=fees)
    status, problem = await otto.post("/settle-usdc", {"txHash": tx_hash, "sessionId": "ons_1"})
    assert (status, "brought 99.00 USDC" in problem["detail"]) == (409, True), problem
    assert (await otto.post("/settle-usdc", {"txHash": tx_hash, "amount": "99"}))[1]["receivable"] == "1.00"


async def test_an_unconfirmed_transfer_waits_for_a_second_person_or_for_the_chain(
    start: Start, ethereum: Ethereum
) -> None:
    # More blocks than the node mines by itself while this runs: it makes one each second.
    deep = 400
    service = await start(**(settings_of(ethereum) | {"SETTLEMENT_CONFIRMATIONS": deep}))
    await owed(service, 5, 3)
    otto = await operator_client(service, "operator", "otto")
    order = {"txHash": await ethereum.pay(SETTLEMENT, 5 * USDC), "sessionId": "ons_1"}
    status, made = await otto.post("/settle-usdc", order)
    assert (status, made["status"], f"of {deep} confirmations" in made["evidence"]) == (200, "awaiting_approval", True)
    unknown = {"txHash": "0x" + "77" * 32, "amount": "1"}
    assert (await otto.post("/settle-usdc", unknown))[1]["status"] == "awaiting_approval"
    await ethereum.mine(deep)
    status, made = await otto.post("/settle-usdc", order)
    assert (status, made["status"], made["verified"], made["receivable"]) == (200, "settled", True, "3.00"), made


async def test_the_address_locked_with_a_session_counts_beside_the_one_configured_now(
    start: Start, ethereum: Ethereum
) -> None:
    service = await start(**settings_of(ethereum))
    _, session = await service.create()
    async with service.database.write() as conn:
        await books.post_receivable(conn, session["id"], 5 * USDC, wallet=HOT_WALLET, now=datetime.now(UTC))
        rules = session_config(load(SETTLEMENT_ADDRESS=STRANGER))
        assert await recipients_of(rules)(conn, [session["id"]]) == {SETTLEMENT, STRANGER}


async def test_a_settlement_whose_block_is_taken_back_is_found_out(
    shop: tuple[Service, OperatorClient], ethereum: Ethereum
) -> None:
    service, otto = shop
    before = await ethereum.rpc("evm_snapshot")
    order = {"txHash": await ethereum.pay(SETTLEMENT, 5 * USDC), "sessionId": "ons_1"}
    made = (await otto.post("/settle-usdc", order))[1]
    assert made["verified"] is True
    pool = Pool(parse_nodes(f"a={ethereum.anvil.url},b={ethereum.anvil.url}/?b"), chain_id=CHAIN_ID, agreement=2)
    rules = session_config(load(SETTLEMENT_ADDRESS=SETTLEMENT))
    watch = SettlementMonitor(
        service.database, UsdcChain(pool, ethereum.usdc, DEEP), SystemClock(), recipients_of(rules)
    )
    await watch.step()
    assert (await row_of(service, made["id"])).contradiction is None
    await ethereum.rpc("evm_revert", before)
    await ethereum.mine(20)
    with capture_logs() as expected:
        await watch.step()
    row = await row_of(service, made["id"])
    assert (row.contradiction, row.verified) == ("it was seen, and is no longer in the chain", False)
    assert [line["event"] for line in expected if line["log_level"] == "critical"] == ["treasury.usdc_contradicted"]
    # The alarm is raised once, not at every check.
    with capture_logs() as expected:
        await watch.step()
    assert [line["event"] for line in expected if line["log_level"] == "critical"] == []
    await pool.close()


async def test_a_settlement_by_two_persons_is_compared_with_the_chain_later(start: Start, ethereum: Ethereum) -> None:
    service = await start()
    await owed(service, 5, 3)
    otto, ada = await operator_client(service, "operator", "otto"), await operator_client(service, "approver", "ada")
    paid, elsewhere = await ethereum.pay(SETTLEMENT, 5 * USDC), await ethereum.pay(STRANGER, 3 * USDC)
    for session_id, tx_hash in (("ons_1", paid), ("ons_2", elsewhere)):
        for person in (otto, ada):
            status, made = await person.post("/settle-usdc", {"txHash": tx_hash, "sessionId": session_id})
            assert status == 200
        assert (made["status"], made["verified"]) == ("settled", False)
    pool = Pool(parse_nodes(f"a={ethereum.anvil.url}"), chain_id=CHAIN_ID, agreement=1)
    rules = session_config(load(SETTLEMENT_ADDRESS=SETTLEMENT))
    watch = SettlementMonitor(
        service.database, UsdcChain(pool, ethereum.usdc, DEEP), SystemClock(), recipients_of(rules)
    )
    await watch.step()
    rows = {row["sessionId"]: row for row in (await otto.get("/settle-usdc"))[1]["data"]}
    assert (rows["ons_1"]["verified"], rows["ons_1"]["contradiction"]) == (True, None)
    assert rows["ons_2"]["contradiction"] is not None
    assert "brings nothing to" in rows["ons_2"]["contradiction"]
    await pool.close()


async def test_a_failed_transaction_is_no_arrival(ethereum: Ethereum) -> None:
    failed = await ethereum.pay(SETTLEMENT, 5 * USDC, sender=STRANGER)
    pool = Pool(parse_nodes(f"a={ethereum.anvil.url}"), chain_id=CHAIN_ID, agreement=1)
    arguments: dict[str, Any] = {"token": ethereum.usdc, "recipients": [SETTLEMENT]}
    assert isinstance(await read_arrival(pool, failed, confirmations=DEEP, **arguments), Contradicted)
    assert isinstance(await read_arrival(pool, failed, confirmations=10**6, **arguments), Unseen)
    await pool.close()


async def test_reconcile_does_not_agree_while_the_chain_contradicts_what_was_settled(
    start: Start, ethereum: Ethereum, chain: DevChain
) -> None:
    service = await start(MEZO_RPC_URLS=SecretStr(",".join(chain.rpc_urls)))
    await owed(service, 5, 3)
    otto, ada = await operator_client(service, "operator", "otto"), await operator_client(service, "approver", "ada")
    status, calm = await otto.post("/reconcile")
    assert (status, calm["agrees"], calm["settlements"]) == (200, True, [])
    elsewhere = await ethereum.pay(STRANGER, 5 * USDC)
    for person in (otto, ada):
        made = (await person.post("/settle-usdc", {"txHash": elsewhere, "sessionId": "ons_1"}))[1]
    found = (await otto.post("/reconcile"))[1]
    assert (found["agrees"], [row["id"] for row in found["settlements"]]) == (True, [made["id"]])
    pool = Pool(parse_nodes(f"a={ethereum.anvil.url}"), chain_id=CHAIN_ID, agreement=1)
    rules = session_config(load(SETTLEMENT_ADDRESS=SETTLEMENT))
    await SettlementMonitor(
        service.database, UsdcChain(pool, ethereum.usdc, DEEP), SystemClock(), recipients_of(rules)
    ).step()
    await pool.close()
    found = (await otto.post("/reconcile"))[1]
    assert (found["agrees"], found["settlements"][0]["contradiction"] is None) == (False, False)
    typed = await run_treasury_async(service.api, await make_key(service.database, "operator", "otto"), "reconcile")
    assert (typed.returncode, f"onramp treasury reverse-usdc {made['id']}" in typed.stderr) == (1, True), typed.stderr
    for person in (otto, ada):
        assert (await person.post(f"/settle-usdc/{made['id']}/reverse"))[0] == 200
    assert (await otto.post("/reconcile"))[1]["agrees"] is True


async def row_of(service: Service, row_id: str) -> Any:
    async with service.database.read() as conn:
        return await queries.require(conn, row_id)
